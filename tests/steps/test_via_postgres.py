"""PostgreSQL behind another machine: a real server, reached through a real sshd."""

import asyncio
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps import ACTIONS, CHECKS
from runbooks.steps.postgres import PostgresConnect
from runbooks.steps.postgres_radius import free_bytes
from runbooks.steps.postgres_way import way_to
from runbooks.steps.postgres_work import Gone, Work, working
from runbooks.steps.reach import Connections, Reach
from tests.steps.acting import HERE, a_call
from tests.steps.conftest import Sshd, run_sshd
from tests.steps.postgres_servers import RUN_AS, until
from tests.steps.test_postgres_statements import debian_server
from tests.steps.vias import db, left_in, measure, with_remote

pytestmark = pytest.mark.debian("sshd")

SLEEPING = (
    "EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600%' AND state = 'active')"
)


@pytest.fixture
async def reach_of(sshd: Sshd, reach: Reach, postgres_url: str) -> Reach:
    """A report that has the machine and the database behind it."""
    return replace(reach, targets=with_remote(sshd, db(postgres_url)))


@asynccontextmanager
async def at_work(reach: Reach, url: str) -> AsyncIterator[tuple[Work, "asyncio.Task[None]"]]:
    """A connection through the machine, on which a statement runs that takes ten minutes."""
    async with working(db(url), reach, seconds=900) as work:
        task = asyncio.create_task(work.run("SELECT pg_sleep(600)", "sleeping"))
        await until(url, SLEEPING)
        yield work, task


async def test_a_check_reaches_it(sshd: Sshd, postgres_url: str) -> None:
    """It connects and logs in, as it does where nothing is in between."""
    (measured,) = await measure(sshd, PostgresConnect(), target=db(postgres_url))

    assert measured.findings == ()
    assert measured.values["role"] == "primary"


async def test_every_step_of_a_report_shares_one_ssh_connection(sshd: Sshd, postgres_url: str) -> None:
    """Checks of the server and of the machine at the same time log in there once."""
    before = sshd.accepted()
    target = db(postgres_url)
    async with Connections() as connections:
        reach = Reach(targets=with_remote(sshd, target), connections=connections)
        await asyncio.gather(
            CHECKS["postgres.connect"]().measure(target, reach),
            CHECKS["postgres.connections"]().measure(target, reach),
            CHECKS["host.load"]().measure(sshd.target(), reach),
        )

    assert sshd.accepted() - before == 1


async def test_nobody_else_can_use_the_way(sshd: Sshd, postgres_url: str, temporary: Path) -> None:
    """The socket is in a folder that only its owner may look into; with the report it is gone."""
    target = db(postgres_url)
    async with Connections() as connections:
        reach = Reach(targets=with_remote(sshd, target), connections=connections)
        way = await way_to(target, reach)
        (name,) = left_in(temporary)

        assert stat.S_IMODE((temporary / name).stat().st_mode) == 0o700
        assert (temporary / name / "0" / ".s.PGSQL.5432").is_socket()
        assert way.detour == {"host": str(temporary / name / "0"), "hostaddr": "", "port": "5432"}

    assert left_in(temporary) == []


async def test_a_long_name_of_the_temporary_folder_is_no_trouble(
    sshd: Sshd, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket's path may have 107 bytes; with a longer folder it is made in /tmp."""
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))

    (measured,) = await measure(sshd, PostgresConnect(), target=db(postgres_url))

    assert measured.findings == ()
    assert list(deep.iterdir()) == []


async def test_a_server_that_is_down_there_is_critical(sshd: Sshd, tmp_path: Path) -> None:
    """By socket and by port: the text says from where nobody answered, and where."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        for url, place in (
            (f"postgresql://u@localhost:{port}/x", f"localhost:{port}"),
            (f"postgresql://u@/x?host={tmp_path}", f"{tmp_path}/.s.PGSQL.5432"),
        ):
            (measured,) = await measure(sshd, PostgresConnect(), target=db(url))

            ((status, text),) = measured.findings
            assert status is Status.CRITICAL
            assert "via remote: ssh://" in text
            assert f"cannot connect to {place}" in text


async def test_the_second_server_of_a_url_is_reached_when_the_first_is_down(
    sshd: Sshd, postgres_url: str, tmp_path: Path
) -> None:
    """libpq tries them one after another, through the machine too; what the second says counts."""
    folders = f"{tmp_path},{postgres_url.rpartition('host=')[2]}"
    url = f"{postgres_url.partition('?')[0]}?host={folders}"
    (reached,) = await measure(sshd, PostgresConnect(), target=db(url))
    (refused,) = await measure(sshd, PostgresConnect(), target=db(url.replace("//postgres:@", "//nobody@")))

    assert reached.findings == ()
    ((status, text),) = refused.findings
    assert status is Status.CRITICAL
    assert 'role "nobody" does not exist' in text


@pytest.mark.parametrize(
    "line",
    [
        "DisableForwarding yes",
        "AllowTcpForwarding no\nAllowStreamLocalForwarding no",
        "PermitOpen localhost:1",
    ],
)
async def test_a_machine_that_passes_nothing_on_says_what_to_change(
    line: str, tmp_path: Path, postgres_url: str
) -> None:
    """The text names the option for what was asked: a socket or a port."""
    with run_sshd(tmp_path, line) as closed:
        with pytest.raises(
            StepError, match=r"In sshd_config there: AllowTcpForwarding and AllowStreamLocalForwarding"
        ):
            await measure(closed, PostgresConnect(), target=db(postgres_url))
        with pytest.raises(
            StepError,
            match=r"AllowTcpForwarding yes \(or local\), and PermitOpen, if set, with db:54",
        ):
            await measure(closed, PostgresConnect(), target=db("postgresql://u@db:54/x"))


async def test_an_unreachable_machine_is_told_as_such(sshd: Sshd, postgres_url: str, tmp_path: Path) -> None:
    """Nobody knows how the server is: the error is that of the ssh connection."""
    (tmp_path / "empty").touch()
    target = db(postgres_url)
    remote = sshd.target(known_hosts=str(tmp_path / "empty"))
    async with Connections() as connections:
        reach = Reach(targets={"db": target, "remote": remote}, connections=connections)
        with pytest.raises(StepError, match="once its fingerprint was compared"):
            await PostgresConnect().measure(target, reach)


async def test_a_machine_that_is_silent_says_nothing_of_the_server(sshd: Sshd, postgres_url: str) -> None:
    """The check is over in its own time, and nobody knows how the server is."""
    target = db(postgres_url)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        remote = sshd.target(port=silent.getsockname()[1], connect_timeout="5s")
        async with Connections() as connections:
            reach = Reach(targets={"db": target, "remote": remote}, connections=connections)
            check = PostgresConnect.model_validate({"timeout": "300ms"})
            with pytest.raises(StepError, match="there was no way through remote within"):
                await check.measure(target, reach)


async def test_a_cancelled_statement_ends_in_the_server(reach_of: Reach, postgres_url: str) -> None:
    """The request to end it goes the same way."""
    async with at_work(reach_of, postgres_url) as (_, task):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await until(postgres_url, "NOT " + SLEEPING)


async def test_a_connection_lost_under_a_statement_is_told(
    sshd: Sshd, reach_of: Reach, postgres_url: str, temporary: Path
) -> None:
    """It is the ssh connection that was lost, not the server that went away; the next step has another."""
    before = await PostgresConnect().measure(db(postgres_url), reach_of)
    async with at_work(reach_of, postgres_url) as (_, task):
        sshd.drop_connections()
        with pytest.raises(Gone, match=r"the ssh connection with ssh://.* was lost in the middle"):
            await task

    again = await PostgresConnect().measure(db(postgres_url), reach_of)
    assert (before.findings, again.findings) == ((), ())
    await reach_of.connections.__aexit__()
    assert left_in(temporary) == []


async def test_an_action_works_there(sshd: Sshd, postgres_url: str) -> None:
    """`postgres.analyze` and what `maint doctor` asks; the text says through which machine."""
    target = db(postgres_url)
    analyze = ACTIONS["postgres.analyze"].model_validate({"target": "db"})
    async with Connections() as connections:
        call = replace(a_call(connections, target), targets=with_remote(sshd, target))
        done = await analyze.act(target, call)
    assert done.values["tables"] == 0
    assert analyze.lines(target)[0].startswith(f"ANALYZE on {target.where()}")
    assert target.where().endswith(" via remote")


async def test_the_disk_is_looked_at_on_that_machine(reach_of: Reach, postgres_url: str) -> None:
    """A server that is local there has its data on its disk; of one behind it nothing is known."""
    free, why = await free_bytes(db(postgres_url), reach_of, "/")
    assert (free or 0) > 0, why

    free, why = await free_bytes(db("postgresql://u@elsewhere/x"), reach_of, "/")
    assert free is None
    assert "name it with `host:`" in why


async def test_a_host_behind_the_machine_keeps_its_name(reach_of: Reach) -> None:
    """libpq connects to ports of this machine, and holds certificates against the names in the url."""
    target = db("postgresql://u@a.example,b.example/x?port=1111,2222")
    way = await way_to(target, reach_of)

    assert way.detour["host"] == "a.example,b.example"
    assert way.detour["hostaddr"] == "127.0.0.1,127.0.0.1"
    assert len(set(way.detour["port"].split(",")) - {"1111", "2222"}) == 2


@pytest.mark.parametrize(
    ("url", "tcp"),
    [
        ("postgresql://u@/x", False),
        ("postgresql://u@localhost/x", False),
        ("postgresql://u@[::1]/x", False),
        ("postgresql://u@localhost/x?sslmode=require", True),
        ("postgresql://u@db/x?sslmode=disable", False),
        ("postgresql://u@db/x", True),
        ("postgresql://u@db/x?hostaddr=127.0.0.1", True),
        ("postgresql://u@localhost/x?hostaddr=10.0.0.9", True),
    ],
)
async def test_only_tls_needs_a_port(url: str, tcp: bool, reach_of: Reach) -> None:
    """A port can be connected to by every user of this machine, a socket in our folder by nobody else."""
    way = await way_to(db(url), reach_of)

    assert (way.detour["hostaddr"] == "127.0.0.1") is tcp
    assert way.detour["host"].startswith("/") is not tcp


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u@a,b,c/x?port=1,2", "not as many ports"),
        ("postgresql://u@/x?service=prod", "write host and port"),
    ],
)
async def test_a_url_that_says_no_place_is_refused(url: str, words: str, reach_of: Reach) -> None:
    """Nothing is guessed about where to connect to."""
    with pytest.raises(StepError, match=words):
        await way_to(db(url), reach_of)


@pytest.mark.parametrize("via", ["db", "nobody", "here"])
async def test_a_way_needs_a_machine_with_ssh(via: str, reach_of: Reach, postgres_url: str) -> None:
    """Also where no file was read that would have been refused."""
    reach = replace(reach_of, targets={**reach_of.targets, "here": HERE})
    with pytest.raises(StepError, match="must name a target of the type host with `ssh:`"):
        await way_to(db(postgres_url, via=via), reach)


@pytest.fixture
def certified() -> Iterator[str]:
    """The options in the url of a PostgreSQL that only speaks TLS, as `db.internal`."""
    # An address on which nobody else of this machine listens.
    address = f"127.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250}.77"
    authority = trustme.CA()
    certificate = authority.issue_cert("db.internal")
    with tempfile.TemporaryDirectory(prefix="tls") as name:
        folder = Path(name)
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        (folder / "key.pem").chmod(0o600)
        (folder / "hba").write_text("local all all trust\nhostssl all all 127.0.0.0/8 trust\n")
        if RUN_AS:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, RUN_AS)
        settings = ["ssl=on", f"ssl_cert_file={folder}/cert.pem", f"ssl_key_file={folder}/key.pem"]
        settings += [f"hba_file={folder}/hba", f"listen_addresses={address}"]
        with debian_server(*settings):
            yield f"hostaddr={address}&sslrootcert={folder}/ca.pem"


@pytest.mark.debian("initdb")
async def test_the_certificate_must_be_of_the_name_in_the_url(certified: str, sshd: Sshd) -> None:
    """Through a machine in between as without: verify-full, by the name of the server itself."""
    (right,) = await measure(
        sshd, PostgresConnect(), target=db(f"postgresql://postgres@db.internal/postgres?{certified}")
    )
    (wrong,) = await measure(
        sshd, PostgresConnect(), target=db(f"postgresql://postgres@other.internal/postgres?{certified}")
    )

    assert right.findings == ()
    ((status, text),) = wrong.findings
    assert status is Status.CRITICAL
    assert "no verified TLS" in text
    assert "other.internal" in text
