"""`postgres.rotate_password` on a server that looks at passwords, broken off wherever it can be."""

import asyncio
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps.action import Done, Doubtful, Failed
from runbooks.steps.postgres_rotate import PostgresRotatePassword
from runbooks.steps.postgres_session import NoConnection
from runbooks.steps.secret_file import Secret, SecretFile
from tests.steps.maintaining import do, execute, one
from tests.steps.postgres_servers import run_server

OLD = "the-old-password"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Only its superuser gets in without a password."""
    with TemporaryDirectory(prefix="pg") as name, run_server(Path(name)) as server:
        hba = Path(name) / "data" / "pg_hba.conf"
        hba.write_text("local all postgres trust\nlocal all lax trust\nlocal all all scram-sha-256\n")
        execute(server.url, "SELECT pg_reload_conf()", "SELECT pg_sleep(0.2)", "CREATE ROLE lax LOGIN")
        yield server.url


@pytest.fixture
def url(server: str) -> Iterator[str]:
    """The same with two logins for the shop."""
    execute(server, *(f"CREATE ROLE {name} LOGIN PASSWORD '{OLD}'" for name in ("shop", "shop2")))
    yield server
    execute(server, "DROP ROLE shop", "DROP ROLE shop2")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the shop reads its password."""
    file = tmp_path / "password"
    file.write_text(f"{OLD}\n")
    return file


def gets_in(url: str, login: str, password: str) -> bool:
    try:
        psycopg.connect(url, user=login, password=password).close()
    except psycopg.OperationalError:
        return False
    return True


async def rotate(url: str, file: Path, **fields: Any) -> Done:
    given = {"role": "shop", "secret": f"file:{file}", **fields}
    return await do("postgres.rotate_password", url, given)


def text(file: Path) -> str:
    return file.read_text().strip()


def write(file: Path, text: str) -> None:
    file.write_text(text)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def alone(file: Path) -> bool:
    """Whether nothing stands beside it."""
    return [*file.parent.iterdir()] == [file]


async def test_the_new_password_is_in_the_file_and_counts(url: str, file: Path) -> None:
    """The old one is refused; the file is its owner's alone; nothing is left beside it, and nothing told."""
    done = await rotate(url, file)

    new = text(file)
    assert new != OLD
    assert gets_in(url, "shop", new)
    assert not gets_in(url, "shop", OLD)
    assert mode(file) == 0o600
    assert alone(file)
    assert new not in repr(done)
    assert done.values == {"role": "shop", "resumed": "no"}


async def test_the_server_never_sees_the_password(url: str, file: Path) -> None:
    """It keeps a SCRAM verifier, which Maint has made."""
    await rotate(url, file)

    kept = one(url, "SELECT rolpassword FROM pg_authid WHERE rolname = 'shop'")
    assert kept.startswith("SCRAM-SHA-256$4096:")


async def test_an_address_keeps_everything_but_its_password(url: str, file: Path) -> None:
    """Host, options and all."""
    write(file, f"postgresql://shop:{OLD}@db.example:5432/shop?sslmode=verify-full\n")

    await rotate(url, file, holds="url")

    secret = SecretFile(file, "url").read()
    assert gets_in(url, "shop", secret.password)
    assert text(file) == f"postgresql://shop:{secret.password}@db.example:5432/shop?sslmode=verify-full"


async def test_with_a_spare_login_nobody_is_cut_off(url: str, file: Path) -> None:
    """The two take turns: who still uses the old one gets in until the next time."""
    write(file, f"postgresql://shop:{OLD}@db/shop")

    first = await rotate(url, file, holds="url", spare="shop2")
    during = SecretFile(file, "url").read()
    old_works = gets_in(url, "shop", OLD)
    second = await rotate(url, file, holds="url", spare="shop2")

    assert (first.values["role"], second.values["role"]) == ("shop2", "shop")
    assert old_works
    assert during.user == "shop2"
    assert gets_in(url, "shop2", during.password)
    assert not gets_in(url, "shop", OLD)


async def test_a_secret_that_is_not_the_logins_changes_nothing(url: str, file: Path) -> None:
    """The file is of something else, or somebody was faster."""
    write(file, "another-password")

    with pytest.raises(StepError, match=r"is not that of shop .*nothing was changed"):
        await rotate(url, file)

    assert gets_in(url, "shop", OLD)
    assert alone(file)


async def test_where_nobody_looks_at_passwords_nothing_is_changed(url: str, file: Path) -> None:
    """Any password would seem to work."""
    with pytest.raises(StepError, match=r"lets lax in without looking at the password"):
        await rotate(url, file, role="lax")


async def test_a_new_password_that_does_not_work_is_taken_back(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one works as before, and stands in the file."""
    works, tried = PostgresRotatePassword._works, []

    async def not_the_new_one(self: Any, target: Any, call: Any, user: str, password: str) -> bool:
        tried.append(password)
        return False if len(tried) == 3 else await works(self, target, call, user, password)

    monkeypatch.setattr(PostgresRotatePassword, "_works", not_the_new_one)

    with pytest.raises(
        Failed, match=r"does not take the new password of shop\. The old password is as it was"
    ):
        await rotate(url, file)

    assert gets_in(url, "shop", OLD)
    assert text(file) == OLD
    assert alone(file)


@pytest.mark.parametrize("told", [False, True])
async def test_what_was_broken_off_goes_on_from_its_file(url: str, file: Path, told: bool) -> None:
    """Killed before the server was told, or after: the same secret ends in the file, and works."""
    SecretFile(file, "password").write_next(Secret("", "the-next-password"))
    if told:
        execute(url, "ALTER ROLE shop PASSWORD 'the-next-password'")

    done = await rotate(url, file)

    assert text(file) == "the-next-password"
    assert gets_in(url, "shop", "the-next-password")
    assert done.values["resumed"] == "yes"


async def test_when_nobody_can_tell_the_new_secret_is_kept(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server went away in the middle: the file beside has what it may have been told."""
    works, tried = PostgresRotatePassword._works, []

    async def away(self: Any, target: Any, call: Any, user: str, password: str) -> bool:
        tried.append(password)
        if len(tried) >= 3:
            raise NoConnection("db: no answer")
        return await works(self, target, call, user, password)

    with monkeypatch.context() as patched:
        patched.setattr(PostgresRotatePassword, "_works", away)
        with pytest.raises(Doubtful, match=r"Retry tries it, and goes on from there") as doubt:
            await rotate(url, file)
    kept = text(file.parent / "password.new")

    done = await rotate(url, file)

    assert kept not in str(doubt.value)
    assert text(file) == kept
    assert gets_in(url, "shop", kept)
    assert done.values["resumed"] == "yes"


async def test_who_cancels_gets_the_old_password_back(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it comes."""
    alter, hangs = PostgresRotatePassword._alter, asyncio.Event()

    async def then_hang(self: Any, work: Any, user: str, password: str) -> None:
        await alter(self, work, user, password)
        if not hangs.is_set():
            hangs.set()
            await asyncio.sleep(60)

    monkeypatch.setattr(PostgresRotatePassword, "_alter", then_hang)
    step = asyncio.create_task(rotate(url, file))
    await hangs.wait()
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step

    assert gets_in(url, "shop", OLD)
    assert alone(file)


async def test_what_the_login_lacks_is_told(url: str, file: Path) -> None:
    """A login may change its own; another's only with ADMIN OPTION."""
    other = url.replace("//postgres:@", f"//shop2:{OLD}@")
    with pytest.raises(StepError, match=r"GRANT shop TO shop2 WITH ADMIN OPTION"):
        await rotate(other, file)
    assert gets_in(url, "shop", OLD)

    own = await rotate(url.replace("//postgres:@", f"//shop:{OLD}@"), file)

    assert own.warnings[0].startswith("Maint itself logs in to db as shop")


async def test_a_file_that_cannot_be_written_changes_nothing(url: str, tmp_path: Path) -> None:
    """The server is told only of what stands on the disk."""
    with pytest.raises(StepError, match=r"is not there"):
        await rotate(url, tmp_path / "none")
    (tmp_path / "password").write_text(OLD)
    (tmp_path / "password.new").mkdir()
    with pytest.raises(StepError, match=r"cannot be read"):
        await rotate(url, tmp_path / "password")

    assert gets_in(url, "shop", OLD)


@pytest.mark.parametrize("place", ["${DB_PASSWORD}", "env:DB_PASSWORD"])
def test_an_environment_variable_cannot_be_changed(place: str) -> None:
    """And the fault says what to do instead."""
    with pytest.raises(ValidationError, match="put the secret into a file"):
        PostgresRotatePassword.model_validate({"target": "db", "role": "shop", "secret": place})


@pytest.mark.parametrize(
    "fields", [{"secret": "password"}, {"spare": "b"}, {"spare": "shop", "holds": "url"}]
)
def test_what_is_not_clear_is_refused(fields: dict[str, str]) -> None:
    """A relative file, a spare without a name in the file, the same login twice."""
    given = {"target": "db", "role": "shop", "secret": "file:/x", **fields}

    with pytest.raises(ValidationError):
        PostgresRotatePassword.model_validate(given)


async def test_who_is_killed_in_the_middle_goes_on_from_the_files(url: str, file: Path) -> None:
    """kill -9 at whatever moment: afterwards the same step ends with one password that works."""
    for wait in (0.0, 0.02, 0.05, 0.1, 0.2):
        program = [sys.executable, "-m", "tests.steps.test_postgres_rotate", url, str(file)]
        process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(wait)
        process.kill()
        await process.wait()

        await rotate(url, file)

        assert gets_in(url, "shop", text(file))
        assert alone(file)


async def _rotate_for_ever(url: str, file: Path) -> None:
    sys.stdout.write("now\n")
    sys.stdout.flush()
    while True:
        await rotate(url, file)


if __name__ == "__main__":  # a process to be killed
    asyncio.run(_rotate_for_ever(sys.argv[1], Path(sys.argv[2])))
