"""A small world for the words: two targets, two runbooks, people, and a double of the engine.

The double decides nothing by itself. It stands here because what a word asks of the engine, and what it makes
of the answers, is the matter of these tests; the engine's own are in tests/engine.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from commands import COMMANDS
from commands.command import Actor, ActorKind, Holds, Looked, LookUp, Request, Services
from commands.dispatch import Admission, Dispatcher
from commands.reply import Alarm, Buttons, Fields, Lines, Listing, Note, Paragraph, Reply, Rows, plain
from runbooks.access import Access, Grant, Place, terminal_access
from runbooks.engine.checks import CheckRunner, Limits
from runbooks.engine.decided import Decided, Verdict
from runbooks.errors import Refused, UsageError
from runbooks.records.audit import Event
from runbooks.records.freezes import Freeze
from runbooks.records.person import Person
from runbooks.records.runs import AskRow, EffectRow, LockRow, RunRow, RunView, StepRow, VoteRow
from runbooks.scrub import Scrubber
from runbooks.spec.approval import with_approval
from runbooks.spec.library import load_library
from runbooks.spec.params import parse_params
from runbooks.spec.plan import Plan, make_plan
from runbooks.spec.runbook import Runbook
from runbooks.steps.action import Preview
from runbooks.targets import HostTarget, HttpTarget

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OPS = Place(id="C1", name="ops", aliases=frozenset({"ops"}))
TRAFFIC = {
    "http": {
        "get": {"path": "/traffic", "weight": "/weight", "version": "/version"},
        "set": {"method": "PUT", "path": "/traffic", "json": {"version": "{version}", "weight": "{weight}"}},
    }
}
TARGETS = {
    "app": HttpTarget.model_validate(
        {"type": "http", "name": "app", "url": "https://app.example.com", "traffic": TRAFFIC}
    ),
    "web-1": HostTarget(type="host", name="web-1"),
    "preview": HttpTarget(
        type="http", name="preview", url="https://preview.example.com", environment="staging"
    ),
}
RUN, OTHER, GONE = ("01jd0000000000000" + end.rjust(9, "0") for end in ("deploy01", "other022", "gone0333"))
UNDOING = "01jd00000000000000undoing0"


#: Those that ship, which the examples of the help are about, and a few for the tests.
RUNBOOKS = load_library(
    Path(__file__).parent / "library", {name: type(target) for name, target in TARGETS.items()}
)
DEPLOY = RUNBOOKS["deploy"]


def run_row(id_: str = RUN, **more: Any) -> RunRow:
    """A run of `deploy` that sam asked for in #ops ten minutes ago."""
    row: dict[str, Any] = {
        "key": None, "runbook": "deploy", "title": "Deploy the shop 1.2", "snapshot": "s", "secrets": {},
        "params": {"version": "1.2"}, "plan": {"targets": {"app": "https://app.example.com"}},
        "plan_digest": "d1" * 32, "state": "waiting", "waiting_on": "gate", "wake_at": None, "segment": 1,
        "fence": 1, "executor": "", "phase": "forward", "stopping": "", "stop_reason": "",
        "requester_kind": "slack", "requester_id": "USAM", "requester_name": "sam", "team": "T1",
        "channel": "C1", "channel_name": "ops", "rollback_of": None, "locks": ("app",), "note": "",
        "version": 1, "created_at": NOW - timedelta(minutes=10), "started_at": NOW - timedelta(minutes=9),
        "ended_at": None,
    }  # fmt: skip
    return RunRow(id=id_, **{**row, **more})


def ask(
    path: str = "go", kind: str = "gate", choices: Sequence[str] = ("approve", "reject"), **more: Any
) -> AskRow:
    """An open question of that run; a gate asks the role sre."""
    row: dict[str, Any] = {
        "id": f"ask-{path}", "run": RUN, "round": 1, "state": "open", "title": f"May {path}?",
        "spec": {"approvers": ["sre"], "quorum": 1} if kind == "gate" else {}, "digest": "d1" * 32,
        "channel": "", "opened_at": NOW - timedelta(minutes=5), "deadline": None, "remind_at": None,
        "reminded": 0, "answer": "", "answered_by": "", "answered_name": "", "reason": "", "evidence": "",
        "closed_at": None,
    }  # fmt: skip
    return AskRow(path=path, kind=kind, choices=tuple(choices), **{**row, **more})


def step_row(path: str, state: str = "ok", **more: Any) -> StepRow:
    """A step of that run."""
    row: dict[str, Any] = {
        "run": RUN, "ordinal": 1, "phase": "forward", "kind": "command", "title": path.capitalize(),
        "attempt": 1, "outputs": {}, "summary": "", "progress": "", "error": "", "data": {},
        "started_at": NOW - timedelta(minutes=9), "ended_at": NOW - timedelta(minutes=8),
    }  # fmt: skip
    return StepRow(path=path, state=state, **{**row, **more})


def view(run: RunRow | None = None, *asks: AskRow, **more: Any) -> RunView:
    """The run with these questions."""
    parts: dict[str, Any] = {"steps": (), "votes": (), "held": (), "in_the_way": ()}
    return RunView(run=run or run_row(), asks=asks, **{**parts, **more})


def vote(person: str = "UKIM", name: str = "kim", **more: Any) -> VoteRow:
    """What somebody said at the gate `go`."""
    row: dict[str, Any] = {
        "ask": "ask-go", "kind": "slack", "choice": "approve", "reason": "", "break_glass": False,
        "at": NOW - timedelta(minutes=4),
    }  # fmt: skip
    return VoteRow(person=person, name=name, **{**row, **more})


def effect(**more: Any) -> EffectRow:
    """Something that was done."""
    row: dict[str, Any] = {
        "id": 1, "run": RUN, "path": "shift", "name": "set", "attempt": 1, "step_attempt": 1, "key": "k",
        "repeatable": True, "state": "finished", "executor": "e" * 26, "fence": 1, "before": {}, "result": {},
        "started_at": NOW - timedelta(minutes=9), "ended_at": NOW - timedelta(minutes=8),
    }  # fmt: skip
    return EffectRow(**{**row, **more})


@dataclass
class Engine:
    """The double: answers with what the test put in, and remembers what it was asked to do."""

    views: dict[str, RunView] = field(default_factory=dict)
    held: tuple[LockRow, ...] = ()
    stopped: str = ""
    outcome: Verdict = Verdict.CLOSED
    done: list[tuple[Any, ...]] = field(default_factory=list)
    effects: tuple[EffectRow, ...] = ()
    in_the_way: tuple[LockRow, ...] = ()
    frozen: tuple[Freeze, ...] = ()
    reached: dict[str, dict[str, Preview]] = field(default_factory=dict)

    def put(self, *views: RunView) -> "Engine":
        self.views.update({each.run.id: each for each in views})
        return self

    async def plan(
        self, runbook: str, params: Mapping[str, Any], approval: Mapping[str, Any] | None = None
    ) -> Plan:
        found = with_approval(RUNBOOKS[runbook], approval)
        return make_plan(found, parse_params(found.params, params, TARGETS), TARGETS)

    async def previews(
        self,
        runbook: str,
        params: Mapping[str, Any],
        approval: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Preview]:
        return self.reached.get(runbook, {})

    async def start(
        self,
        runbook: str,
        params: Mapping[str, Any],
        by: Person,
        *,
        channel: str = "",
        channel_name: str = "",
        key: str | None = None,
        approval: Mapping[str, Any] | None = None,
    ) -> RunRow:
        self.done.append(
            ("start", runbook, dict(params), by, channel, key, *([approval] if approval else []))
        )
        row = run_row(
            runbook=runbook, state="queued", waiting_on="", channel=channel, channel_name=channel_name
        )
        self.put(view(row, in_the_way=self.in_the_way, paused=self.stopped))
        return row

    async def view(self, run: str) -> RunView | None:
        return self.views.get(run)

    async def find(self, text: str) -> RunRow:
        found = [each.run for each in self.views.values() if each.run.id.endswith(text)]
        if len(found) != 1:
            raise UsageError(f"There is no run {text!r}." if not found else f"{text!r} fits several runs.")
        return found[0]

    async def runs(self, *, states: Sequence[str] = (), limit: int = 20) -> tuple[RunRow, ...]:
        rows = [each.run for each in self.views.values() if not states or each.run.state in states]
        return tuple(sorted(rows, key=lambda row: row.created_at, reverse=True)[:limit])

    async def journal(self, run: str) -> tuple[EffectRow, ...]:
        return self.effects

    async def open_asks(self, kinds: Sequence[str], limit: int = 50) -> tuple[AskRow, ...]:
        return tuple(each for one in self.views.values() for each in one.open_asks if each.kind in kinds)

    async def decide(
        self,
        ask: str,
        choice: str,
        by: Person,
        *,
        holds: frozenset[str],
        reason: str = "",
        evidence: str = "",
        break_glass: bool = False,
        to: Person | None = None,
    ) -> Decided:
        said = {"reason": reason, "evidence": evidence, "break_glass": break_glass, "to": to}
        given = {name: value for name, value in said.items() if value}
        self.done.append(("decide", ask, choice, by.id, holds, given))
        return Decided(outcome=self.outcome, text=f"{choice}: {self.outcome}", run=RUN)

    async def cancel(self, run: str, by: Person, reason: str) -> Decided:
        self.done.append(("cancel", run, by.id, reason))
        return Decided(outcome=Verdict.CLOSED, text="It is asked to stop.", run=run)

    async def rollback(self, run: str, by: Person, reason: str) -> RunRow:
        self.done.append(("rollback", run, by.id, reason))
        over = self.views[run].run.over
        row = run_row(UNDOING, rollback_of=run, state="queued") if over else self.views[run].run
        self.put(view(row))
        return row

    async def unlock(self, target: str, by: Person, reason: str) -> Decided:
        self.done.append(("unlock", target, by.id, reason))
        return Decided(outcome=Verdict.CLOSED, text=f"{target} is free.")

    async def locks(self) -> tuple[LockRow, ...]:
        return self.held

    async def stop_everything(self, by: Person, reason: str) -> Decided:
        self.done.append(("stop", by.id, reason))
        return Decided(outcome=Verdict.CLOSED, text="Everything is stopped.")

    async def resume_everything(self, by: Person, reason: str) -> Decided:
        self.done.append(("resume", by.id, reason))
        return Decided(outcome=Verdict.CLOSED, text="Everything goes on.")

    async def paused(self) -> str:
        return self.stopped

    async def freeze(self, what: Freeze, by: Person, reason: str) -> Decided:
        self.frozen = (*self.frozen, replace(what, reason=reason))
        self.done.append(("freeze", what.where, what.until, by.id, reason))
        return Decided(outcome=Verdict.CLOSED, text="It is frozen.")

    async def unfreeze(self, id_: str, by: Person, reason: str = "") -> Decided:
        self.done.append(("unfreeze", id_, by.id, reason))
        return Decided(outcome=Verdict.CLOSED, text="It is not frozen any more.")

    async def freezes(self) -> tuple[Freeze, ...]:
        return self.frozen


def grant(line: int, **said: Any) -> Grant:
    """A grant in that line of maint.yaml."""
    return Grant(**said).model_copy(update={"written_at": f"maint.yaml:{line}"})


#: Who is who: Slack ids, and the roles that they have.
ROLES = {
    "sam": ("USAM", frozenset({"dev"})),
    "kim": ("UKIM", frozenset({"sre"})),
    "dana": ("UDANA", frozenset({"admin"})),
    "lena": ("ULENA", frozenset({"analyst"})),
    "nobody": ("UNOBODY", frozenset[str]()),
}
GRANTS = (
    grant(2, role="dev", runbooks=("deploy",), environments=("production",), channels=("ops",)),
    grant(3, role="dev", runbooks=("clean",), environments=("production",)),
    grant(4, role="admin", commands=("*",), runbooks=("*",)),
    grant(6, role="analyst", runbooks=("compare",), environments=("production",)),
    grant(5, role="chief", commands=("break-glass",)),
)


def holding(held: Iterable[str]) -> Holds:
    """Somebody who is these, and nothing else."""
    mine = frozenset(held)

    async def holds(entries: Iterable[str]) -> frozenset[str]:
        return mine & frozenset(entries)

    return holds


async def no_login(_: Iterable[str]) -> frozenset[str]:
    """Somebody at the terminal whom nobody knows."""
    raise Refused("nobody knows you")


def looking_up(place: Place) -> LookUp:
    """Finds the people of this world by their ids; U0123ABCD is an admin, UGUEST a guest."""

    async def look_up(user: str) -> Looked:
        known = {id_: (name, roles) for name, (id_, roles) in ROLES.items()}
        name, roles = known.get(user, ("somebody", frozenset({"admin"} if user == "U0123ABCD" else ())))
        refusal = "Maint does not answer guests." if user == "UGUEST" else ""
        return Looked(name=name, access=Access(roles, GRANTS, place), refusal=refusal)

    return look_up


def in_slack(name: str, text: str, *more_roles: str, place: Place = OPS) -> Request:
    """What somebody types in #ops."""
    id_, roles = ROLES[name]
    roles = roles | frozenset(more_roles)
    return Request(
        actor=Actor(kind=ActorKind.SLACK, id=id_, name=name, team="T1"),
        place=place,
        access=Access(roles, GRANTS, place),
        correlation="c" * 26,
        text=text,
        holds=holding({id_, *roles}),
        look_up=looking_up(place),
    )


def at_terminal(text: str, acts_as: str = "", *roles: str) -> Request:
    """What alice types at the terminal."""
    actor = Actor(kind=ActorKind.TERMINAL, id="alice@bastion", name="alice", acts_as=acts_as)
    return Request(
        actor=actor,
        place=Place(id="terminal"),
        access=terminal_access("alice", None, owner=True, others=GRANTS),
        correlation="c" * 26,
        text=text,
        holds=holding({acts_as, *roles}) if acts_as else no_login,
        look_up=looking_up(Place(id="")),
    )


@dataclass
class Recorder:
    """The audit log of one test."""

    events: list[Event] = field(default_factory=list)

    async def record(self, event: Event, delivery_key: str | None = None) -> bool:
        self.events.append(event)
        return True


class World:
    """The words, put together with the double."""

    def __init__(self, engine: Engine | None = None, **runbooks: Runbook) -> None:
        self.engine = engine or Engine()
        self.audit = Recorder()
        scrub = Scrubber()
        # No check is run and no log is read here: nobody asks for records.
        checks = CheckRunner(TARGETS, None, scrub, Limits())  # type: ignore[arg-type]
        services = Services(
            targets=TARGETS,
            runbooks={**RUNBOOKS, **runbooks},
            checks=checks,
            commands=COMMANDS,
            runs=self.engine,
            alerts=None,  # type: ignore[arg-type]
            records=None,  # type: ignore[arg-type]
            proof=None,  # type: ignore[arg-type]
            channels={"ops": "C1", "alerts": "C2"},
            now=lambda: NOW,
        )
        self.dispatcher = Dispatcher(services, self.audit, scrub, lambda: NOW)

    async def ask(self, request: Request) -> Reply:
        """What the person reads."""
        answer = await self.dispatcher.admit(request)
        if isinstance(answer, Admission):
            return await self.dispatcher.carry_out(answer, lambda _: None)
        assert answer is not None
        return answer


def read(reply: Reply) -> str:
    """Everything that a person reads of a reply, without its details."""
    lines = [reply.title]
    for element in reply.elements:
        match element:
            case Paragraph(text) | Note(text) | Alarm(text):
                lines.append(plain(text))
            case Fields(pairs):
                lines += [f"{name}: {plain(text)}" for name, text in pairs]
            case Lines(items):
                lines += [f"{item.mark} {plain(item.text)} {plain(item.note)}" for item in items]
            case Buttons(buttons):
                lines += [button.command for button in buttons]
            case Listing(_, text):
                lines.append(text)
            case Rows(rows):
                lines += [f"{row.title} {row.value} {row.trend} {row.note}" for row in rows]
    return "\n".join(lines)


def lock(target: str = "app", run: str = OTHER) -> LockRow:
    """A lock that another run has had for 20 minutes."""
    return LockRow(target=target, run=run, since=NOW - timedelta(minutes=20), reason="restart by kim")


def closed(question: AskRow, answer: str = "approve", by: str = "kim", **more: Any) -> AskRow:
    """The question, answered a minute ago."""
    return replace(
        question, state="closed", answer=answer, answered_by="UKIM", answered_name=by,
        closed_at=NOW - timedelta(minutes=1), **more,
    )  # fmt: skip
