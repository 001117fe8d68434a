"""The connection that a report's PostgreSQL steps share, and how refusals are put."""

import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from runbooks.errors import StepError
from runbooks.steps.postgres_session import NoConnection, Session, session_of
from runbooks.steps.reach import Connections, Reach
from tests.steps.postgres_servers import as_login, at, make_login


@dataclass
class Word:
    """One word from the server."""

    word: str


async def ask(url: str, setting: str) -> str:
    """A setting of the session that the steps get."""
    async with Connections() as connections:
        session = await open_session(url, connections)
        (row,) = await session.fetch(Word, "SELECT current_setting(%(name)s) AS word", {"name": setting})
        return row.word


async def open_session(url: str, connections: Connections) -> Session:
    """The report's session with that server."""
    return await session_of(at(url), Reach(targets={}, connections=connections))


async def refusal(url: str) -> NoConnection:
    """Why there is no session with that server."""
    async with Connections() as connections:
        with pytest.raises(NoConnection) as caught:
            await open_session(url, connections)
        return caught.value


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("application_name", "maint"),
        ("default_transaction_read_only", "on"),
        ("statement_timeout", "5s"),
        ("lock_timeout", "1s"),
    ],
)
async def test_the_session_is_bounded(postgres_url: str, setting: str, value: str) -> None:
    """A session is named, only reads, and waits neither for a slow query nor for a lock."""
    assert await ask(postgres_url, setting) == value


async def test_options_of_the_url_are_kept(postgres_url: str) -> None:
    """What the url's `options` set beside our own limits is still set."""
    assert await ask(postgres_url + "&options=-c%20geqo%3Doff", "geqo") == "off"


async def test_options_of_the_url_do_not_lift_the_limits(postgres_url: str) -> None:
    """Our limits win over the url's `options`."""
    assert await ask(postgres_url + "&options=-c%20statement_timeout%3D0", "statement_timeout") == "5s"


async def test_one_connection_serves_a_report(postgres_url: str) -> None:
    """Everybody who asks in one report gets the same session."""
    async with Connections() as connections:
        first, second = await asyncio.gather(*(open_session(postgres_url, connections) for _ in range(2)))

    assert first is second


async def test_the_connection_ends_with_the_report(postgres_url: str) -> None:
    """After a report nothing of ours is left on the server."""
    async with Connections() as connections:
        await open_session(postgres_url, connections)

    with psycopg.connect(postgres_url, autocommit=True) as admin:
        deadline = time.monotonic() + 5
        ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'maint'"
        while admin.execute(ours).fetchone() != (0,):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)


async def test_a_refused_query_is_told(postgres_url: str) -> None:
    """A query that the server refuses is an error in the server's words."""
    async with Connections() as connections:
        session = await open_session(postgres_url, connections)
        with pytest.raises(StepError, match='relation "nowhere" does not exist'):
            await session.fetch(Word, "SELECT word FROM nowhere")


async def test_a_broken_connection_is_no_connection(postgres_url: str) -> None:
    """A server that ends our session is told apart from one that refuses a query."""
    async with Connections() as connections:
        session = await open_session(postgres_url, connections)
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
                " WHERE application_name = 'maint' AND datname = current_database()"
            )
        with pytest.raises(NoConnection, match="broke"):
            await session.fetch(Word, "SELECT 'x' AS word")


async def test_refused_connections_are_told() -> None:
    """Where nothing listens, the text says so, and where that is."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    error = await refusal(f"postgresql://app:secret-1@127.0.0.1:{port}/shop")

    assert str(error) == (
        f"postgresql://127.0.0.1:{port}/shop: nothing listens there: Connection refused"
        " (is PostgreSQL running?)"
    )


async def test_a_missing_socket_is_told(tmp_path: Path) -> None:
    """A unix socket that is not there is told apart from a server that refuses."""
    assert "no socket there" in str(await refusal(f"postgresql:///shop?host={tmp_path}"))


async def test_an_unknown_host_is_told() -> None:
    """A name that nobody knows is told apart from a server that is down."""
    assert "the host name is not known" in str(await refusal("postgresql://app@no-such-host.invalid/shop"))


async def test_a_silent_server_is_given_up() -> None:
    """A server that takes the connection and never says a word costs no more than connect_timeout."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.perf_counter()
        error = await refusal(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/shop?connect_timeout=2")

    assert "no answer" in str(error)
    assert time.perf_counter() - began < 4


@pytest.fixture
def guarded_url(postgres_url: str) -> Iterator[str]:
    """A login that needs its password, `correct-1`."""
    with make_login(postgres_url, "guarded", "PASSWORD 'correct-1'"), psycopg.connect(postgres_url) as admin:
        (name,) = admin.execute("SHOW hba_file").fetchone() or ("",)
        rules = Path(name)
        before = rules.read_text()
        try:
            rules.write_text(f"local all guarded scram-sha-256\n{before}")
            admin.execute("SELECT pg_reload_conf()")
            _wait_until_guarded(as_login(postgres_url, "guarded:wrong-1"))
            yield as_login(postgres_url, "guarded")
        finally:
            rules.write_text(before)
            admin.execute("SELECT pg_reload_conf()")
        admin.rollback()


def _wait_until_guarded(url: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            return
        time.sleep(0.02)
    raise TimeoutError("the server still lets everybody in")


@pytest.mark.parametrize("password", ["", ":incorrect-1"])
async def test_a_wrong_password_is_told(guarded_url: str, password: str) -> None:
    """A missing and a wrong password are refused logins."""
    error = await refusal(guarded_url.replace("guarded@", f"guarded{password}@"))

    assert "login refused" in str(error)
    assert "incorrect-1" not in str(error)


async def test_the_right_password_is_let_in(guarded_url: str) -> None:
    """The same login with its password gets a session: it was the password that was refused."""
    assert await ask(guarded_url.replace("guarded@", "guarded:correct-1@"), "role") == "none"


async def test_an_unknown_role_is_a_refused_login(postgres_url: str) -> None:
    """A role that does not exist is a refused login, and is named."""
    error = await refusal(as_login(postgres_url, "nobody"))

    assert 'login refused: role "nobody" does not exist' in str(error)


async def test_an_unknown_database_is_told(postgres_url: str) -> None:
    """A database that does not exist is told apart from a refused login."""
    assert "wrong database" in str(await refusal(postgres_url.replace("/t", "/no_t", 1)))


async def test_a_role_at_its_limit_has_no_room(postgres_url: str) -> None:
    """A login whose own limit is used up is refused for want of room, but the server is not full."""
    with make_login(postgres_url, "limited", "CONNECTION LIMIT 0") as url:
        error = await refusal(url)

    assert (error.no_room, error.full) == (True, False)


async def test_a_wrong_option_in_the_url_is_told(postgres_url: str) -> None:
    """An option that libpq does not know is an error that says where to look, and holds nothing secret."""
    url = as_login(postgres_url, "app:secret-1") + "&sslmod=require"
    async with Connections() as connections:
        with pytest.raises(StepError, match="check the options") as caught:
            await open_session(url, connections)

    assert "secret-1" not in str(caught.value)
