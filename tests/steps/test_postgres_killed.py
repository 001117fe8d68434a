"""The server killed in the middle of each step that changes it, with kill -9 of all its processes."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from runbooks.steps import ACTIONS
from runbooks.steps.action import Doubtful, Failed
from tests.steps.maintaining import do, execute, one, under_way
from tests.steps.postgres_servers import Server, run_server, session, until

FULL = {"tables": ["orders"], "full": True, "lock_timeout": "1m"}


@pytest.fixture
def server() -> Iterator[Server]:
    """One that may be killed."""
    with TemporaryDirectory(prefix="pg") as folder, run_server(Path(folder)) as server:
        execute(
            server.url,
            "CREATE TABLE orders (id int PRIMARY KEY)",
            "INSERT INTO orders SELECT generate_series(1, 5000)",
        )
        yield server


@pytest.mark.parametrize(
    ("kind", "fields", "statement"),
    [
        ("postgres.analyze", {"tables": ["orders"], "lock_timeout": "1m"}, "ANALYZE"),
        ("postgres.vacuum", {"tables": ["orders"], "lock_timeout": "1m"}, "VACUUM"),
        ("postgres.vacuum", FULL, "VACUUM"),
        ("postgres.reindex", {"tables": ["orders"]}, "REINDEX"),
    ],
)
async def test_a_server_that_dies_is_told_and_the_step_can_be_done_again(
    server: Server, kind: str, fields: Mapping[str, Any], statement: str
) -> None:
    """Whatever it left is put in order by the next try."""
    lock = "LOCK orders IN SHARE UPDATE EXCLUSIVE MODE"
    async with (
        session(server.url, "BEGIN", lock),
        under_way(kind, server.url, fields, statement=statement) as step,
    ):
        await asyncio.to_thread(server.kill)
        with pytest.raises(Failed, match=r"went away in the middle|could not be dropped"):
            await step
    await asyncio.to_thread(server.start)

    done = await do(kind, server.url, fields)

    assert done.output
    assert one(server.url, "SELECT count(*) FROM orders") == 5000
    assert one(server.url, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0


async def test_a_rebuild_that_died_with_its_server_is_tidied_by_the_next(server: Server) -> None:
    """The invalid index is still there when it is back."""
    async with (
        session(server.url, "BEGIN", "SELECT FROM orders LIMIT 1"),
        under_way("postgres.reindex", server.url, {"database": True}, statement="REINDEX") as step,
    ):
        await until(server.url, "EXISTS (SELECT FROM pg_index WHERE NOT indisvalid)")
        await asyncio.to_thread(server.kill)
        with pytest.raises(Doubtful, match=r"could not be dropped"):
            await step
    await asyncio.to_thread(server.start)
    left = one(server.url, "SELECT count(*) FROM pg_index WHERE NOT indisvalid")

    done = await do("postgres.reindex", server.url, {"database": True})

    assert left == done.values["left_overs"] == 1


async def test_settings_of_a_server_that_dies_are_in_doubt(server: Server) -> None:
    """They could not be put back, and the step says so; a rollback or a retry does it when it is back."""
    check = {"postgres.connect": {"target": "db"}}
    fields = {"settings": {"work_mem": "8MB"}, "checks": [check], "watch": "1m", "every": "200ms"}
    told = asyncio.Event()
    step = asyncio.create_task(do("postgres.set", server.url, fields, lambda _: told.set()))
    await told.wait()
    await asyncio.to_thread(server.kill)

    with pytest.raises(Doubtful, match=r"it could not be put back"):
        await step
    await asyncio.to_thread(server.start)

    done = await do("postgres.set", server.url, {"settings": {"work_mem": "8MB"}})

    assert (done.values["changed"], one(server.url, "SHOW work_mem")) == (0, "8MB")


@pytest.mark.parametrize("kind", ["analyze", "vacuum", "reindex", "set", "rotate_password", "vitals"])
def test_a_step_that_died_with_maint_is_done_again(kind: str) -> None:
    """Twice is the same as once: the engine asks nobody after a crash."""
    assert ACTIONS[f"postgres.{kind}"].safe_to_repeat
