"""`postgres.set` on a server of its own: what is set holds, or is put back."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps.action import Failed
from runbooks.steps.postgres_set import PostgresSet
from runbooks.steps.reach import Connections
from tests.steps.acting import a_call
from tests.steps.maintaining import do, execute, one, soon
from tests.steps.postgres_servers import at, make_login, run_server

WELL = {"postgres.connect": {"target": "db"}}
ILL = {"postgres.connections": {"target": "db", "critical": {"used": {"at_least": 0}}}}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server of its own: settings are for all of it."""
    with TemporaryDirectory(prefix="pg") as folder, run_server(Path(folder)) as server:
        yield server.url


@pytest.fixture
def url(server: str) -> Iterator[str]:
    """The same with nothing set."""
    yield server
    execute(server, "ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()", "SELECT pg_sleep(0.2)")


def set_by(url: str, name: str) -> str:
    """The value in a new session."""
    return str(one(url, f"SELECT current_setting('{name}')"))


async def test_what_is_set_is_in_every_new_session(url: str) -> None:
    """And the step says what it was before."""
    done = await do("postgres.set", url, {"settings": {"work_mem": "8MB", "log_lock_waits": True}})

    assert set_by(url, "work_mem") == "8MB"
    assert set_by(url, "log_lock_waits") == "on"
    assert done.summary == "work_mem 4MB → 8MB, log_lock_waits off → on" or "on → on" in done.summary


async def test_what_needs_a_restart_is_told(url: str) -> None:
    """It is written, and waits."""
    done = await do("postgres.set", url, {"settings": {"max_connections": 90}})

    assert done.values["pending_restart"] == 1
    assert done.warnings == ("max_connections waits for a restart of the server",)


@pytest.mark.parametrize("earlier", [None, "6MB"])
async def test_undoing_puts_back_what_was_written_before(url: str, earlier: str | None) -> None:
    """Or takes it away, when ALTER SYSTEM had written nothing."""
    if earlier:
        await do("postgres.set", url, {"settings": {"work_mem": earlier}})
    action, target = PostgresSet(target="db", settings={"work_mem": "8MB"}), at(url)
    async with Connections() as connections:
        call = a_call(connections, target)
        before = await action.record(target, call)
        await action.act(target, replace(call, before=before))
        during = set_by(url, "work_mem")
        after = await action.record(target, call)
        unchanged = await action.changed_since(target, call, after)
        await action.undo(target, replace(call, before=before))
        await action.undo(target, replace(call, before=before))
        changed = await action.changed_since(target, call, after)
    await soon(lambda: set_by(url, "work_mem") == (earlier or "4MB"))

    assert during == "8MB"
    assert before == {"settings": {"work_mem": earlier}}
    assert unchanged == ()
    assert changed[0].endswith(f"was set to {earlier or 'as its file says'} since")


async def test_a_check_that_fails_afterwards_puts_it_back(url: str) -> None:
    """By itself; nobody is needed for that."""
    fields = {"settings": {"work_mem": "8MB"}, "checks": [WELL, ILL], "watch": "1s", "every": "300ms"}

    with pytest.raises(Failed, match=r"postgres\.connections of db: .*Everything was put back as it was"):
        await do("postgres.set", url, fields)

    await soon(lambda: set_by(url, "work_mem") == "4MB")


async def test_checks_that_hold_leave_it(url: str) -> None:
    """They are made for as long as `watch` says."""
    told: list[str] = []
    fields = {"settings": {"work_mem": "8MB"}, "checks": [WELL], "watch": "500ms", "every": "200ms"}

    await do("postgres.set", url, fields, told.append)

    assert set_by(url, "work_mem") == "8MB"
    assert told


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"work_mem": "8MB", "log_statement": "nonsense"}, r'invalid value.*"log_statement".*put back'),
        ({"no_such_thing": "1"}, r"no setting no_such_thing"),
        ({"server_version": "9"}, r"cannot be changed.*put back"),
    ],
)
async def test_what_the_server_refuses_leaves_nothing(
    url: str, settings: Mapping[str, Any], said: str
) -> None:
    """Not even the settings before it."""
    with pytest.raises(StepError, match=said):
        await do("postgres.set", url, {"settings": settings})

    await soon(lambda: set_by(url, "work_mem") == "4MB")
    assert one(url, "SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'") == 0


async def test_who_cancels_gets_it_put_back(url: str) -> None:
    """What was only half looked at does not stay."""
    told: list[str] = []
    fields = {"settings": {"work_mem": "8MB"}, "checks": [WELL], "watch": "1m", "every": "200ms"}
    step = asyncio.create_task(do("postgres.set", url, fields, told.append))
    await soon(lambda: bool(told))

    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step

    await soon(lambda: set_by(url, "work_mem") == "4MB")


async def test_what_the_login_lacks_is_told(url: str) -> None:
    """Step by step, until it may."""
    fields = {"settings": {"work_mem": "8MB"}}
    with make_login(url, "keeper", "IN ROLE pg_monitor") as keeper:
        with pytest.raises(StepError, match=r"GRANT ALTER SYSTEM ON PARAMETER work_mem TO keeper"):
            await do("postgres.set", keeper, fields)
        execute(url, "GRANT ALTER SYSTEM ON PARAMETER work_mem TO keeper")
        with pytest.raises(StepError, match=r"GRANT EXECUTE ON FUNCTION pg_reload_conf\(\) TO keeper"):
            await do("postgres.set", keeper, fields)
        execute(url, "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO keeper")
        await do("postgres.set", keeper, fields)
        again = PostgresSet(target="db", settings={"work_mem": "9MB"})
        async with Connections() as connections:
            before = await again.record(at(keeper), a_call(connections, at(keeper)))
        execute(
            url,
            "REVOKE ALL ON PARAMETER work_mem FROM keeper",
            "REVOKE ALL ON FUNCTION pg_reload_conf() FROM keeper",
        )

    assert before == {"settings": {"work_mem": "8192kB"}}


async def test_a_list_is_a_list(url: str) -> None:
    """Not one item with commas in it."""
    await do("postgres.set", url, {"settings": {"search_path": '"$user", public, shop'}})

    assert set_by(url, "search_path") == '"$user", public, shop'


def test_what_may_hold_a_secret_is_not_set() -> None:
    """It would be kept for the way back."""
    with pytest.raises(ValidationError, match="may hold a secret"):
        PostgresSet(target="db", settings={"Primary_ConnInfo": "password=x"})
