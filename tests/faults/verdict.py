"""What the world, the database and Slack say when everything is quiet: whether they tell the same story."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bot.sandbox import Sandbox
from bot.slack.render import blocks
from commands.run_card import run_card
from runbooks.records import runs as run_records
from runbooks.records.audit import Event, Filter
from runbooks.records.records import Records
from runbooks.records.run_tables import asks, locks, runs
from runbooks.records.runs import AskKind, EffectRow, Phase, RunState, RunView, StepState
from runbooks.records.schema import cards
from tests.faults.people import OPS
from tests.faults.work import REPEATABLE, step_of


@dataclass
class Verdict:
    """Figures for the table, and everything that is wrong, in words."""

    figures: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def demand(self, holds: bool, what: str) -> None:
        """Notes what does not hold."""
        if not holds:
            self.faults.append(what)


async def judge(records: Records, sandbox: Sandbox, folder: Path, started: Iterable[str]) -> Verdict:
    """Holds every run against its decisions, its journal, the file of effects and its card."""
    verdict = Verdict()
    wanted = set(started)
    path = folder / "effects"
    lines = Counter(tuple(line.split()) for line in path.read_text().splitlines()) if path.exists() else {}
    there = await records.read(lambda connection: set(connection.scalars(select(runs.c.id))))
    verdict.demand(there == wanted, f"started {len(wanted)}, in the database {len(there)}")
    done: dict[str, Counter[str]] = defaultdict(Counter)
    for (run, step), times in lines.items():
        done[run][step] = times
    for run in sorted(wanted & there):
        view = await records.read(lambda connection, run=run: run_records.view(connection, run))
        rows = await records.read(lambda connection, run=run: run_records.effect_rows(connection, run))
        events = [each.event for each in await records.events(Filter(correlation=run), limit=2000)]
        assert view is not None
        _end(verdict, view)
        _effects(verdict, view, rows, done[run])
        _asks(verdict, view, events)
        _audit(verdict, view, rows, events)
    held = await records.read(lambda connection: connection.execute(select(locks)).all())
    verdict.demand(not held, f"locks are held: {held}")
    await _cards(verdict, records, sandbox)
    return verdict


def _end(verdict: Verdict, view: RunView) -> None:
    run = view.run
    verdict.figures["runs"] += 1
    verdict.figures[run.state] += 1
    verdict.demand(run.over, f"{run.id} {run.runbook} is not over: {run.state} {run.waiting_on}")
    if not run.over:
        verdict.figures["lost"] += 1
        return
    answers = {ask.answer for ask in view.asks if ask.state == "closed"}
    if "abandon" in answers:
        wanted = {RunState.ABANDONED, RunState.CANCELLED}
    elif run.phase == Phase.ROLLBACK:
        wanted = {RunState.ROLLED_BACK}
    elif run.stopping:
        wanted = {RunState.CANCELLED, RunState.SUCCEEDED}  # it may have been at its end already
    else:
        wanted = {RunState.SUCCEEDED}
        left = [row.path for row in view.steps if row.state not in run_records.PASSED]
        verdict.demand(not left, f"{run.id} {run.runbook} succeeded without {left}")
    verdict.demand(run.state in wanted, f"{run.id} {run.runbook} is {run.state}, not {sorted(wanted)}")


def _effects(verdict: Verdict, view: RunView, rows: tuple[EffectRow, ...], done: Counter[str]) -> None:
    run = view.run
    by_step: dict[str, list[EffectRow]] = defaultdict(list)
    for row in rows:
        by_step[step_of(row.path)].append(row)
        verdict.demand(row.state != "started", f"{run.id} {row.path}: nobody knows how {row.attempt} ended")
    for step, times in done.items():
        verdict.figures["effects"] += times
        again = by_step[step]
        verdict.demand(times <= len(again), f"{run.id} {step}: {times} times, {len(again)} in the journal")
        if (run.runbook, step) in REPEATABLE:
            continue
        told = sum(
            ask.answer == "retry" for ask in view.asks if step_of(ask.path) == step and ask.state == "closed"
        )
        if times > 1 + told:
            verdict.figures["doubled"] += 1
        verdict.demand(times <= 1 + told, f"{run.id} {step}: {times} times, {told} times told to")
        doubts = [ask for ask in view.asks if step_of(ask.path) == step and ask.kind == AskKind.IN_DOUBT]
        verdict.figures["known doubles"] += bool(doubts) and times > 1
    for row in view.steps:
        if row.state == StepState.OK and row.kind == "command" and not row.summary.startswith("marked done"):
            verdict.demand(done[step_of(row.path)] > 0, f"{run.id} {row.path} is ok, and was never done")


def _asks(verdict: Verdict, view: RunView, events: list[Event]) -> None:
    for ask in view.asks:
        verdict.demand(ask.state != "open", f"{view.run.id} {ask.path}: {ask.kind} is open")
        verdict.figures["in doubt"] += ask.kind == AskKind.IN_DOUBT
        if ask.state != "closed" or not ask.answered_by:
            continue
        counted = [
            event
            for event in events
            if event.details.get("ask") == ask.id
            and event.outcome == "ok"
            and event.action.startswith(f"{ask.kind}.")
        ]
        votes = [vote for vote in view.votes if vote.ask == ask.id]
        verdict.figures["decisions"] += 1
        verdict.demand(len(counted) == len(votes), f"{ask.id}: {len(counted)} events, {len(votes)} votes")
        if ask.kind == AskKind.GATE:
            closing = [event for event in counted if str(event.details["said"]).startswith("Approved")]
            verdict.demand(len(closing) == 1, f"{ask.id} was closed {len(closing)} times")
            verdict.demand(len(votes) == ask.spec["quorum"], f"{ask.id}: {len(votes)} votes")


def _audit(verdict: Verdict, view: RunView, rows: tuple[EffectRow, ...], events: list[Event]) -> None:
    run = view.run
    actions = Counter(event.action for event in events)
    verdict.demand(actions["run.started"] == 1, f"{run.id} began {actions['run.started']} times")
    ends = actions[f"run.{run.state}"]
    # Of a run that never began nothing but the cancelling is to be told.
    verdict.demand(ends == (run.started_at is not None), f"{run.id} {run.state}: {ends} events of its end")
    begun = Counter(
        (event.object.partition("/")[2], event.details["effect"], event.details["attempt"])
        for event in events
        if event.action in ("effect.started", "effect.repeated")
    )
    journal = Counter((row.path, row.name, row.attempt) for row in rows)
    verdict.demand(begun == journal, f"{run.id}: begun {begun - journal}, journal {journal - begun}")
    verdict.figures["re-runs"] += actions["effect.repeated"]


async def _cards(verdict: Verdict, records: Records, sandbox: Sandbox) -> None:
    shown: dict[str, list[Any]] = defaultdict(list)
    for message in sandbox.messages(OPS):
        payload = (message.metadata or {}).get("event_payload") or {}
        if "card" in payload:
            shown[str(payload["card"])].append(message)
    for row in await records.read(lambda connection: connection.execute(select(cards)).all()):
        view = await records.read(lambda connection, row=row: run_records.view(connection, row.correlation))
        assert view is not None
        found = shown.pop(row.id, [])
        verdict.figures["cards"] += 1
        verdict.demand(len(found) == 1, f"the run {row.correlation} has {len(found)} cards")
        if found:
            # The workspace gives each block an id of its own.
            stands = [{key: block[key] for key in block if key != "block_id"} for block in found[-1].blocks]
            same = stands == blocks(run_card(view))
            verdict.figures["cards wrong"] += not same
            verdict.demand(same, f"the card of {row.correlation} does not show what the database says")
    verdict.demand(not shown, f"{len(shown)} cards of nothing")


async def open_asks(records: Records) -> int:
    """How many questions nobody has answered, over all runs."""
    query = select(asks.c.id).where(asks.c.state == "open", asks.c.kind != AskKind.REVIEW)
    return len(await records.read(lambda connection: connection.execute(query).all()))
