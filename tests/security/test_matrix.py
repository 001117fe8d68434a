"""Who may do nothing can do nothing: every word, button and form there is, by everybody who has no right to.

What there is comes from the registries (tests/security/things.py). Nothing may change, nobody else may see
anything, the person reads a refusal, and each request ends as one in the audit log.
"""

import asyncio
import json
import sqlite3
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import Connection, update

from bot.slack.actions import Actions
from bot.slack.edge import Edge
from bot.slack.forms import Forms
from bot.slack.gateway import Gateway
from commands import COMMANDS
from commands.audit import SUB_WORDS
from commands.audit.sub_word import SubWord
from commands.command import Command
from commands.needs import Needs
from commands.press import Press
from runbooks.records.audit import Event, Filter, Recorded
from runbooks.records.records import Records
from runbooks.records.run_tables import asks as asks_table
from runbooks.records.run_tables import run_snapshots
from tests.records import run_rows
from tests.scenario.floor import Floor
from tests.security.things import Thing, answer, button, form, kept_with, pressed, things, typed

#: What only those may read whose business it is.
TITLE, PURPOSE = "Move the vault to Zurich", "Nobody must know of the vault"
RUN_TITLE = "Move the vault of Rita"
VAULT = f"""
    name: vault
    title: {TITLE}
    purpose: {PURPOSE}
    params:
      host: {{type: target, of: host, prompt: Which machine}}
    steps:
      - id: move
        command: {{target: '{{{{ params.host }}}}', run: [sh, -c, 'echo moved >> effects'], directory: DIR,
                  repeatable: true}}
"""
PLAN = {"targets": {"here": "here"}, "steps": [{"target": "here", "risk": "high"}], "rollback": []}
KINDS = {
    "approve": "gate", "reject": "gate", "reviewed": "review", "promote": "rollout", "hold": "rollout",
    "resume": "rollout", "done": "manual", "failed": "manual", "cannot": "manual", "assign": "manual",
}  # fmt: skip
FORGED = ("", "' OR 1=1 --", "{other}.{ask}")  # more of them: test_05
#: Tables in which nothing may change.
STATE = ("runs", "run_steps", "asks", "votes", "locks", "switches", "effects", "outbox", "cards")


@dataclass(frozen=True, kw_only=True)
class Attacker:
    """Who tries, as the sandbox knows them, and where."""

    user: str
    identified: bool = True  # else Maint answers them nothing at all


ATTACKERS: Mapping[str, Attacker] = {
    "a member without grants": Attacker(user="nobody"),
    "a guest": Attacker(user="guest", identified=False),
    "another workspace": Attacker(user="stranger", identified=False),
    "a closed account": Attacker(user="gone", identified=False),
    "a bot": Attacker(user="maint", identified=False),
    "somebody else's gate": Attacker(user="dba"),  # may do everything, on staging
    "a forged value": Attacker(user="sre1"),  # has rights of their own
    "a stale card": Attacker(user="admin"),  # may do everything, and comes too late
}


@dataclass(frozen=True, kw_only=True)
class Prey:
    """A run that waits with a question for each choice, and one that is over."""

    run: str
    asks: Mapping[str, str]
    over: str
    over_asks: Mapping[str, str]


async def seed(floor: Floor) -> Prey:
    """Puts them into the database."""
    choices = sorted({thing.choice for thing in things() if thing.choice})
    records = await Records.open(str(floor.workplace.settings["database"]))

    def add(connection: Connection, state: str) -> tuple[str, dict[str, str]]:
        changes = {"runbook": "vault", "title": RUN_TITLE, "plan": PLAN, "state": state, "locks": ["here"]}
        run = run_rows.add_run(connection, **changes)
        asks = {}
        for choice in choices:
            kind = KINDS.get(choice, "failed")
            spec: dict[str, Any] = run_rows.gate_spec(approvers=["vaulters"]) if kind == "gate" else {}
            if kind == "review":
                spec = {"not": "U1", "name": "Rita", "reason": "nobody was there", "ask": asks["approve"]}
            more: dict[str, Any] = {"path": f"at-{choice}", "kind": kind, "choices": (choice,), "spec": spec}
            asks[choice] = run_rows.add_ask(connection, run, title=RUN_TITLE, **more).id
        if state != "waiting":
            closing = {"state": "closed", "answer": "abandon", "answered_name": "Rita"}
            connection.execute(update(asks_table).where(asks_table.c.run == run).values(closing))
        source = textwrap.dedent(VAULT).lstrip().replace("DIR", str(floor.folder))
        connection.execute(update(run_snapshots).values(path="vault.yaml", source=source))
        return run, asks

    run, asks = await records.write(lambda connection: add(connection, "waiting"))
    over, over_asks = await records.write(lambda connection: add(connection, "rolled_back"))
    await records.close()
    return Prey(run=run, asks=asks, over=over, over_asks=over_asks)


def set_up(floor: Floor) -> None:
    """A vault, and people who have rights elsewhere."""
    floor.runbook("vault", VAULT)
    settings: Any = floor.workplace.settings
    settings["limits"] = {"commands_per_minute": 100_000}
    settings["targets"]["test"] = {"type": "host", "environment": "staging"}
    settings["roles"]["vaulters"] = {"members": ["U0000ADMIN"]}
    settings["grants"] = [
        {"role": "admin", "commands": ["*"], "runbooks": ["*"]},
        {"role": "dba", "commands": ["*"], "runbooks": ["*"], "environments": ["staging"]},
        {"role": "sre", "commands": ["health", "targets"], "runbooks": ["health"], "channels": ["ops"]},
    ]


def state(floor: Floor) -> dict[str, list[Any]]:
    """All that may not change."""
    with sqlite3.connect(floor.folder / "maint.db") as database:
        return {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in STATE}


class Attack:
    """One attacker, and what they send."""

    def __init__(self, floor: Floor, who: str, prey: Prey) -> None:
        self.floor, self.who, self.prey = floor, who, prey
        self.member = floor.sandbox.workspace.member(ATTACKERS[who].user)
        self.sent: list[tuple[str, str, str]] = []  # the thing, its trigger, what its event is about

    def values(self, thing: Thing) -> list[tuple[str, str]]:
        """The runs and values with which it is tried."""
        prey = self.prey
        if self.who == "a stale card":
            return [(prey.over, pressed(thing, prey.over, prey.over_asks.get(thing.choice, "")))]
        if self.who == "a forged value":
            run = {"run": prey.run, "other": prey.over, "ask": prey.asks.get(thing.choice, "")}
            made = [each.format(**run) for each in FORGED]
            # A word with nothing behind it is another request, and a lawful one.
            return [(each, each) for each in made if each or thing.kind != "word"]
        return [(prey.run, pressed(thing, prey.run, prey.asks.get(thing.choice, "")))]

    def fits(self, thing: Thing) -> bool:
        """Whether the attack can be made with it: only what is used on something can be stale."""
        return self.who != "a stale card" or thing.of_run or thing.kind == "form"

    def base(self, text: str) -> dict[str, Any]:
        """A command as Slack would deliver it, though the sandbox would not let this person."""
        workspace = self.floor.sandbox.workspace
        payloads = self.floor.sandbox._payloads
        return payloads.slash(self.member, workspace.channel("ops"), "/maint", text)

    async def send(self, thing: Thing) -> None:
        """Tries it, each value once."""
        deliver = self.floor.sandbox.deliverer.deliver
        for run, value in self.values(thing):
            name = "vault" if self.who != "a forged value" else run
            text = thing.line.format(run=run, name=name)
            base = self.base(text)
            if thing.kind == "word":
                await deliver("slash_commands", base)
            elif thing.kind == "button":
                await deliver("interactive", button(base, thing.name, value))
            elif thing.kind == "answer":
                kept = kept_with(base, choice=thing.name, value=value)
                await deliver("interactive", answer(base, json.dumps(kept)))
            else:
                gone = self.who in ("a stale card", "a forged value")
                kept = kept_with(base, runbook="gone" if gone else "vault", word=thing.name)
                await deliver("interactive", form(base, json.dumps(kept)))
            self.sent.append((f"{thing} {value[:40]!r}", base["trigger_id"], text))

    def told(self) -> list[str]:
        """What the attacker was shown in private."""
        messages = self.floor.sandbox.messages("ops", self.member.name)
        return [each.shown for each in messages if each.ephemeral_to == self.member.id]


async def events_of(floor: Floor, actor: str) -> list[Event]:
    """All that somebody did, oldest first."""
    records = await Records.open(str(floor.workplace.settings["database"]))
    try:
        found: list[Recorded] = []
        while page := await records.events(Filter(actor_id=actor), before=found[-1].seq if found else None):
            found += page
        return [each.event for each in reversed(found)]
    finally:
        await records.close()


def requests(events: list[Event]) -> list[list[Event]]:
    """The events of each request, in their order: those of a run have its id, and are no request."""
    found: dict[str, list[Event]] = {}
    for event in events:
        if event.action.startswith("command."):
            found.setdefault(event.correlation, []).append(event)
    return list(found.values())


def refused(request: list[Event]) -> bool:
    """Whether it ended with a no."""
    last = request[-1]
    note = str(last.details.get("note", ""))
    titles = ("Not allowed", "Too late", "Nothing to decide", "You said so already")
    return str(last.outcome) in ("denied", "invalid") or note.startswith(titles)


def may_be_answered(who: str, request: list[Event]) -> bool:
    """What is answered without a right: what shows one's own alone, and what an approver may read."""
    if not ATTACKERS[who].identified:
        return False
    text = request[0].object
    word = text.partition(" ")[0]
    if COMMANDS.get(word, Press()).needs is Needs.NOTHING:
        return True
    # A page of the log without anybody else's events in it: that nothing leaks is looked at by itself.
    reads = text.startswith(("audit run", "press audit", "press details", "runs "))
    if who == "a stale card":  # who may do everything may read what is over
        return reads or text.startswith("press undo")  # which asks for a reason before it looks
    if who == "somebody else's gate" and text == "runbooks vault":
        return True  # they may run it elsewhere
    return reads and not text.startswith(("press details", "runs "))


@pytest.mark.parametrize("who", ATTACKERS)
async def test_who_may_do_nothing_can_do_nothing(floor: Floor, who: str) -> None:
    """Nothing changes, nobody else sees anything, and each request stands in the log as refused."""
    set_up(floor)
    prey = await seed(floor)
    async with floor.open():
        attack = Attack(floor, who, prey)
        before, seen = state(floor), [each.shown for each in floor.sandbox.messages("ops")]
        for thing in filter(attack.fits, things()):
            await attack.send(thing)
        wanted = [each for each in attack.sent if not each[0].startswith("form")]
        # A form that is refused where it is sent has its answer there.
        await floor.until(
            lambda: len(attack.told()) + len(floor.sandbox.views(attack.member.name)) >= len(wanted),
            lambda: f"{len(attack.told())} answers to {len(wanted)} requests: {attack.told()} {attack.sent}",
        )
        await asyncio.sleep(0.1)
    after = state(floor)
    events = await events_of(floor, attack.member.id)

    assert {table for table in STATE if before[table] != after[table]} == set()
    assert [each.shown for each in floor.sandbox.messages("ops")] == seen
    assert floor.effects() == []
    asked = requests(events)
    assert len(asked) == len(attack.sent)
    assert [
        (each[0].object, str(each[-1].outcome), each[-1].details)
        for each in asked
        if not refused(each) and not may_be_answered(who, each)
    ] == []
    told = "\n".join(attack.told())
    secrets = (RUN_TITLE, TITLE, PURPOSE) if who != "somebody else's gate" else (RUN_TITLE,)
    assert who == "a stale card" or [text for text in secrets if text in told] == []
    assert {str(each.outcome) for each in events if each.action.startswith(("gate.", "question."))} <= {
        "denied", "invalid", "late", "duplicate",
    }  # fmt: skip
    if not ATTACKERS[who].identified:
        assert {each.action for each in events} <= {"person.refused", "command.refused"}


async def test_choices_are_offered_to_who_may_run_it_alone(floor: Floor) -> None:
    """Whoever else types into the form of a runbook gets none, and that stands in the log."""
    set_up(floor)
    found: dict[str, int] = {}
    prey = Prey(run="", asks={}, over="", over_asks={})
    async with floor.open():
        for who, attacker in ATTACKERS.items():
            base = Attack(floor, who, prey).base("")
            payload = typed(base, json.dumps(kept_with(base, runbook="vault", word="run")))
            delivery = await floor.sandbox.deliverer.deliver("interactive", payload)
            found[attacker.user] = len(delivery.answer["options"])
    refusals = {user: await floor.audited("command.refused") for user in found}

    assert found == {
        "nobody": 0, "guest": 0, "stranger": 0, "gone": 0, "maint": 0, "dba": 2, "sre1": 0, "admin": 2,
    }  # fmt: skip
    assert len(refusals["nobody"]) == list(found.values()).count(0)


def test_everything_says_what_it_needs() -> None:
    """A new word or button that does not is no word and no button."""
    assert [str(thing) for thing in things() if not isinstance(thing.needs, Needs)] == []


def test_what_declares_nothing_needs_nothing_it_could_get() -> None:
    """There is no default that somebody could forget to think about."""
    assert "needs" not in vars(Command)
    assert "needs" not in vars(SubWord)
    undeclared = [
        type(each).__name__ for each in (*COMMANDS.values(), *SUB_WORDS) if "needs" not in vars(type(each))
    ]

    assert undeclared == []


async def test_a_button_that_is_not_registered_does_nothing(floor: Floor) -> None:
    """Not even for who may do everything, and with a value that fits."""
    set_up(floor)
    prey = await seed(floor)
    async with floor.open():
        attack = Attack(floor, "a stale card", prey)
        before = state(floor)
        base = attack.base("")
        value = f"{prey.run}.{prey.asks['retry']}"
        await floor.sandbox.deliverer.deliver("interactive", button(base, "retry-all", value))
        await floor.told("admin", "There is no such button")
    assert state(floor) == before


def test_every_way_into_maint_is_one_of_the_matrix() -> None:
    """What Bolt is told to listen to: a new listener is a new way in, and belongs into things.py."""
    app = AsyncApp(
        signing_secret="x", request_verification_enabled=False, authorize=_nobody, client=AsyncWebClient()
    )
    edge = object.__new__(Edge)
    for name, part in (("_gateway", Gateway), ("_actions", Actions), ("_forms", Forms)):
        setattr(edge, name, object.__new__(part))
    edge.listen(app)
    people = {"_on_command", "_on_click", "_on_answer", "_on_sent", "_on_typed"}
    slack_itself = {"_on_group_changed", "_on_person_changed"}  # it drops what was remembered, nothing else

    assert {each.ack_function.__name__ for each in app._async_listeners} == people | slack_itself


async def _nobody() -> None:
    """Nobody asks."""
