"""The way in: understood, allowed, recorded, and only then done."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from commands.command import Actor, ActorKind, Command, Progress, Request, Services
from commands.dispatch import Admission, Dispatcher
from commands.reply import Reply
from runbooks.access import Access, Grant, Place, terminal_access
from runbooks.engine.checks import CheckRunner, Limits
from runbooks.errors import StepError
from runbooks.records.records import Records
from runbooks.scrub import Scrubber
from runbooks.targets import TargetBase
from tests.commands.world import Engine

OPS = Place(id="C1", name="ops", aliases=frozenset({"ops"}))


class Scripted(Command):
    """A command that does as its first word says."""

    word = "act"
    summary = "Acts"
    usage = "[how]"
    about = "Does as it is told, to see what is made of it."
    examples = (("act crash", "breaks"),)
    everyone = False
    instant = True

    def __init__(self) -> None:
        self.times = 0

    def named_targets(self, words: tuple[str, ...], services: Services) -> tuple[TargetBase, ...]:
        return ()

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        self.times += 1
        if words == ("crash",):
            raise RuntimeError("p4ssw0rd in a trace")
        if words == ("fail",):
            raise StepError("db does not answer; p4ssw0rd")
        return Reply(title="Done", fallback="done")


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    records = await Records.open(f"sqlite:///{tmp_path}/maint.db")
    yield records
    await records.close()


@pytest.fixture
def act() -> Scripted:
    return Scripted()


@pytest.fixture
def dispatcher(records: Records, act: Scripted) -> Dispatcher:
    scrub = Scrubber(["p4ssw0rd"])
    services = Services(
        targets={},
        runbooks={},
        checks=CheckRunner({}, records, scrub, Limits()),
        commands={"act": act},
        runs=Engine(),
        alerts=None,  # type: ignore[arg-type]
        records=records,
        proof=None,  # type: ignore[arg-type]
    )
    return Dispatcher(services, records, scrub)


def request(text: str, access: Access | None = None) -> Request:
    actor = Actor(kind=ActorKind.SLACK, id="U1", name="sam", team="T1")
    return Request(
        actor=actor,
        place=OPS,
        access=access or terminal_access("sam", None, owner=True),
        correlation="0123456789c0rr",
        text=text,
    )


async def outcome(dispatcher: Dispatcher, text: str) -> Reply:
    admission = await dispatcher.admit(request(text))
    assert isinstance(admission, Admission)
    return await dispatcher.carry_out(admission, lambda _: None)


async def test_a_fault_of_ours_shows_a_reference_and_nothing_else(
    dispatcher: Dispatcher, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    """An unknown fault is answered with a reference id; the trace is in the log, `failed` in the audit."""
    reply = await outcome(dispatcher, "act crash")

    assert "89c0rr" in reply.fallback
    assert "RuntimeError" not in str(reply)
    assert "p4ssw0rd" not in str(reply)
    assert "RuntimeError" in caplog.text
    assert [event.event.outcome for event in await records.events()] == ["failed", "accepted"]


async def test_a_known_failure_says_what_happened(dispatcher: Dispatcher) -> None:
    """An error that is fit to be shown is shown, without the secret in it."""
    reply = await outcome(dispatcher, "act fail")

    assert "db does not answer" in reply.fallback
    assert "p4ssw0rd" not in str(reply)


async def test_a_mistyped_word_brings_no_secret_into_the_audit_log(
    dispatcher: Dispatcher, records: Records
) -> None:
    """`rnu` may have been `run`, and nobody knows which of its values is secret."""
    reply = await dispatcher.admit(request("rnu deploy version=1.2 token=hunter22-canary"))

    assert isinstance(reply, Reply)
    (recorded,) = await records.events()
    assert "canary" not in str(recorded)
    assert recorded.event.object.startswith("rnu deploy ")


async def test_without_the_audit_log_nothing_is_done(
    dispatcher: Dispatcher, act: Scripted, tmp_path: Path
) -> None:
    """When the audit event cannot be written, the command is not carried out, and people are told."""
    with sqlite3.connect(tmp_path / "maint.db") as database:
        database.execute("DROP TABLE audit_events")
    database.close()

    answer = await dispatcher.admit(request("act"))

    assert isinstance(answer, Reply)
    assert "Nothing was done" in answer.title
    assert act.times == 0


async def test_an_end_that_cannot_be_recorded_is_said(dispatcher: Dispatcher, tmp_path: Path) -> None:
    """What was done and could not be recorded as done carries a warning."""
    admission = await dispatcher.admit(request("act"))
    assert isinstance(admission, Admission)
    with sqlite3.connect(tmp_path / "maint.db") as database:
        database.execute("DROP TABLE audit_events")
    database.close()

    reply = await dispatcher.carry_out(admission, lambda _: None)

    assert reply.title == "Done"
    assert "could not be written to the audit log" in str(reply.elements[-1])


async def test_the_same_delivery_is_admitted_once(dispatcher: Dispatcher) -> None:
    """A second delivery of the same request is neither admitted nor answered."""
    first = await dispatcher.admit(request("act"), "slack:1")
    second = await dispatcher.admit(request("act"), "slack:1")

    assert isinstance(first, Admission)
    assert second is None


@pytest.mark.parametrize(
    ("grant", "place", "allowed"),
    [
        (Grant(role="sre", commands=("act",)), OPS, True),
        (Grant(role="sre", commands=("a*",)), OPS, True),
        (Grant(role="sre", commands=("health",)), OPS, False),
        (Grant(role="sre", commands=("act",), channels=("ops",)), OPS, True),
        (Grant(role="sre", commands=("act",), channels=("C1",)), OPS, True),
        (Grant(role="sre", commands=("act",), channels=("alerts",)), OPS, False),
        (Grant(role="sre", commands=("act",)), Place(id="D1", direct=True), False),
        (Grant(role="sre", commands=("act",), channels=("direct",)), Place(id="D1", direct=True), True),
        (Grant(role="dba", commands=("act",)), OPS, False),
        (Grant(role="sre", runbooks=("act",)), OPS, False),
    ],
)
async def test_only_a_grant_lets_in(
    dispatcher: Dispatcher, act: Scripted, grant: Grant, place: Place, allowed: bool
) -> None:
    """The role, the command and the channel must all be granted; a channel's name in Slack is not enough."""
    access = Access(frozenset({"sre"}), (grant,), place)

    answer = await dispatcher.admit(request("act", access))

    assert isinstance(answer, Admission) is allowed
