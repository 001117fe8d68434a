"""What a step would reach is measured when people are asked about it, and in no digest."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from commands.questions import question
from commands.reply import Paragraph
from runbooks.errors import UsageError
from runbooks.records.runs import WaitingOn
from runbooks.steps.action import Preview
from runbooks.steps.postgres_maintain import PostgresVacuum
from tests.runs.conftest import OLGA, SAM
from tests.steps.maintaining import execute
from tests.steps.postgres_servers import at, session

Build = Callable[..., Any]

REWRITE = """
    name: rewrite
    title: Rewrite
    locks: [db]
    steps:
      - id: go
        gate: {approvers: [sre], quorum: 2, requester_may_approve: true, expires: 1h}
      - id: full
        when: {params.how: {equals: full}}
        postgres.vacuum: {target: db, tables: [orders], full: true, lock_timeout: 1s}
      - id: second
        gate: {approvers: [sre], expires: 1h}
      - id: again
        postgres.analyze: {target: db, tables: [orders]}
    params:
      how: {type: choice, choices: [full, plain], default: full}
"""


@pytest.fixture
def shop(postgres_url: str) -> str:
    """A database with a table that is worth a rewrite."""
    execute(
        postgres_url,
        "CREATE TABLE orders AS SELECT n, repeat('x', 100) AS note FROM generate_series(1, 2000) AS n",
        "DELETE FROM orders WHERE n > 10",
    )
    return postgres_url


async def test_a_gate_shows_what_the_steps_behind_it_would_reach(build: Build, shop: str) -> None:
    """Up to the next gate; who is in the way at that moment is named."""
    async with build({"rewrite": REWRITE}, targets={"db": at(shop)}) as house, session(shop) as reader:
        await reader.execute("BEGIN")
        await reader.execute("SELECT FROM orders LIMIT 1")
        run = await house.start("rewrite")
        view = await house.waiting(run, WaitingOn.GATE)
        (ask,) = view.open_asks
        await reader.execute("COMMIT")
        pid = reader.info.backend_pid
        await house.answer(run, "approve", SAM)
        await house.answer(run, "approve", OLGA)
        await house.until(run, lambda view: view.step("full").state == "ok", "rewritten")
        again = await house.engine.previews("rewrite", {})

    lines = ask.spec["radius"]
    assert lines[0] == (
        "full: lock ACCESS EXCLUSIVE, one after another: public.orders (520 KiB); "
        "nobody reads or writes meanwhile"
    )
    assert any(line.startswith(f"full: in the way: pid {pid} (postgres, shop) holds Acc") for line in lines)
    assert any(line.startswith("full: disk: about 520 KiB for the largest copy, ") for line in lines)
    assert any(line.startswith("full: longest open transaction: ") for line in lines)
    assert "full: replication: no replicas" in lines
    assert lines[-1] == "full: time: unknown, it was never done here by Maint"
    assert again["full"].lines[-1].startswith("time: about ")
    drawn = [str(part.text) for part in question(view, ask) if isinstance(part, Paragraph)]
    assert any("nobody reads or writes meanwhile" in text for text in drawn)


async def test_what_is_measured_is_in_no_digest(build: Build, shop: str) -> None:
    """An approval is not void because a table has grown."""
    async with build({"rewrite": REWRITE}, targets={"db": at(shop)}) as house:
        before = await house.engine.plan("rewrite", {})
        execute(shop, "INSERT INTO orders SELECT n FROM generate_series(1, 9000) AS n")
        after = await house.engine.plan("rewrite", {})

    assert before.digest == after.digest


async def test_a_step_for_two_people_needs_a_gate_for_two(build: Build, shop: str) -> None:
    """Neither one person nor a gate that may be skipped is enough."""
    alone = REWRITE.replace("quorum: 2, ", "").replace("rewrite", "alone", 1)
    first = "- id: go"
    skipped = REWRITE.replace(first, f"{first}\n        when: {{params.how: {{equals: plain}}}}")
    skipped = skipped.replace("rewrite", "skipped", 1)
    none = """
        name: none
        title: None
        steps:
          - id: all
            postgres.reindex: {target: db, database: true, concurrently: false, lock_timeout: 1s}
    """
    texts = {"alone": alone, "skipped": skipped, "none": none}
    async with build(texts, targets={"db": at(shop)}) as house:
        for name in texts:
            with pytest.raises(UsageError, match=r"2 people have to approve it: it needs a gate before it"):
                await house.engine.plan(name, {})
        await house.engine.plan("alone", {"how": "plain"})


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (OSError("boom"), "unknown: a fault in Maint itself: look for "),
        (TimeoutError(), "unknown: no answer within "),
        (UsageError("who hunter22 knows"), "unknown: who [secret] knows"),
    ],
)
async def test_what_cannot_be_measured_is_told(
    build: Build, shop: str, monkeypatch: pytest.MonkeyPatch, fault: Exception, said: str
) -> None:
    """The gate opens all the same."""

    async def preview(*_: object) -> Preview:
        raise fault

    monkeypatch.setattr(PostgresVacuum, "preview", preview)
    async with build({"rewrite": REWRITE}, targets={"db": at(shop)}) as house:
        house.scrub.add("hunter22")
        found: Mapping[str, Preview] = await house.engine.previews("rewrite", {})

    assert found["full"].lines[0].startswith(said)


async def test_a_database_that_is_away_leaves_it_unknown(build: Build) -> None:
    """A plan is made without it."""
    async with build(
        {"rewrite": REWRITE}, targets={"db": at("postgresql://nobody@/x?host=/nowhere")}
    ) as house:
        found = await house.engine.previews("rewrite", {})

    assert found["full"].lines[0].startswith("unknown: postgresql:///x: no socket there")
