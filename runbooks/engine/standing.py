"""At, as the engine has it: one step of one run, while it proceeds."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from runbooks.engine.agreement import agreed_by
from runbooks.engine.brakes import Brakes
from runbooks.engine.checks import CheckRunner, Item, Result
from runbooks.engine.effects import Effect, Effects
from runbooks.engine.hold import Hold
from runbooks.engine.previews import preview_all, until_next_gate
from runbooks.errors import StepError
from runbooks.ids import new_id
from runbooks.records import asks, cards, outbox
from runbooks.records.asks import Question
from runbooks.records.measurements import Series
from runbooks.records.runs import AskRow, RunView, StepRow
from runbooks.scrub import Scrubber
from runbooks.spec.plan import Plan
from runbooks.spec.plan_changes import differences
from runbooks.spec.runbook import RunbookStep
from runbooks.steps.action import Call, Done, Preview
from runbooks.steps.reach import Reach
from runbooks.steps.step import EVERY, Check, Step
from runbooks.targets import TargetBase


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What every step of a run shares."""

    hold: Hold
    effects: Effects
    brakes: Brakes
    checks: CheckRunner
    targets: Mapping[str, TargetBase]
    channels: Mapping[str, str]
    scrub: Scrubber
    plan_now: Callable[[], Plan]
    model_of: Callable[[str], Step]
    models_now: Callable[[], Mapping[str, Step]]
    reach: Reach


class Standing:
    """Handed to the runner of a step: see `At`."""

    def __init__(self, around: Surroundings, step: RunbookStep, path: str) -> None:
        self._around = around
        self._hold = around.hold
        self._path = path
        self.step = step
        self.scrub = around.scrub

    @property
    def view(self) -> RunView:
        """The run as it was last read."""
        return self._hold.view

    @property
    def row(self) -> StepRow:
        """This step's row."""
        row = self._hold.row(self._path)
        assert row is not None
        return row

    @property
    def targets(self) -> Mapping[str, TargetBase]:
        """The targets of maint.yaml."""
        return self._around.targets

    @property
    def plan_digest(self) -> str:
        """The digest of the plan as it would be made at this moment."""
        return self._around.plan_now().digest

    def plan_change(self) -> tuple[str, ...]:
        """How that plan differs from the one that was shown."""
        return differences(self.view.run.plan, self._around.plan_now().as_json())

    def now(self) -> datetime:
        """The time."""
        return self._hold.now()

    async def previews(self) -> Mapping[str, Preview]:
        """What the steps up to the next gate would reach."""
        models = await asyncio.to_thread(self._around.models_now)
        return await preview_all(until_next_gate(models, self._path), self._around.reach, self.scrub)

    async def agreed(self) -> Mapping[str, str]:
        """What was shown of exactly what the steps up to the next gate take, as digests by path."""
        models = await asyncio.to_thread(self._around.models_now)
        return agreed_by(until_next_gate(models, self._path))

    def model_of(self, path: str) -> Step:
        """Another step's model with its values filled in."""
        return self._around.model_of(path)

    async def save(
        self,
        data: Mapping[str, Any],
        *,
        progress: str | None = None,
        summary: str | None = None,
        audit: str = "",
        details: Mapping[str, Any] | None = None,
        priority: int = 1,
    ) -> None:
        """Keeps the step's data."""
        values: dict[str, Any] = {"data": dict(data)}
        if progress is not None:
            values["progress"] = progress
        if summary is not None:
            values["summary"] = summary
        events = [self._hold.event(audit, self._path, "ok", **(details or {}))] if audit else []
        await self._hold.write(lambda _: None, step=(self._path, values), events=events, priority=priority)

    async def effect(
        self,
        name: str,
        act: Callable[[Call], Awaitable[Done]],
        *,
        repeatable: bool,
        timeout: timedelta,
        grace: timedelta,
        before: Callable[[Call], Awaitable[Mapping[str, Any]]] | None = None,
    ) -> Done:
        """Does something outside."""
        return await self.act(name, act, repeatable=repeatable, timeout=timeout, grace=grace, before=before)

    async def act(self, name: str, act: Callable[[Call], Awaitable[Done]], **how: Any) -> Done:
        """As `effect`, with everything that an Effect has."""
        return await self._around.effects.carry_out(Effect(path=self._path, name=name, act=act, **how))

    async def measure(self, checks: Sequence[tuple[str, Step]]) -> tuple[Result, ...]:
        """Runs checks once, now."""
        items = [item for name, check in checks for item in self._items(name, check)]
        report = await self._around.checks.run(self.view.run.runbook, items, self._hold.run)
        return report.results

    def _items(self, name: str, check: Step) -> list[Item]:
        if not isinstance(check, Check):
            raise StepError(f"{check.kind} measures nothing")
        names = sorted(self.targets) if check.target == EVERY else [check.target]
        items = []
        for target_name in names:
            target = self.targets.get(target_name)
            if target is None and check.target != EVERY:
                raise StepError(f"there is no target {target_name} any more")
            if isinstance(target, check.needs) and check.applies_to(target):
                key = Series(self.view.run.runbook, name, target_name, check.kind)
                items.append(Item(key=key, title=name, check=check, target=target))
        if not items:
            raise StepError(f"no target is of the type that {check.kind} looks at")
        return items

    async def ask(
        self,
        kind: str,
        *,
        title: str,
        choices: Sequence[str],
        spec: Mapping[str, Any] | None = None,
        deadline: datetime | None = None,
        remind_at: datetime | None = None,
        channel: str = "",
        digest: str = "",
        again: bool = False,
    ) -> AskRow:
        """The newest ask of that kind at this step; opened now if there is none."""
        newest = self.view.ask(self._path, kind)
        if newest is not None and (newest.state == asks.OPEN or not again):
            return newest
        question = Question(
            run=self._hold.run,
            path=self._path,
            kind=kind,
            title=title,
            choices=tuple(choices),
            spec=spec or {},
            digest=digest,
            channel=self._channel(channel),
            deadline=deadline,
            remind_at=remind_at,
            round=newest.round + 1 if newest else 1,
        )
        event = self._hold.event("ask.opened", self._path, "accepted", kind=kind, title=title)
        opened = await self._hold.write(
            partial(open_with_card, question=question, at=self.now()), events=[event], priority=3
        )
        self._hold.view = replace(self.view, asks=(*self.view.asks, opened))
        return opened

    def _channel(self, name: str) -> str:
        return self._around.channels.get(name, name)

    async def close(self, ask: AskRow, answer: str, reason: str, *, void: bool = False) -> bool:
        """Closes an ask by itself."""
        at = self.now()

        def work(connection: Any) -> bool:
            if void:
                return asks.void(connection, ask.id, reason, at) is not None
            return asks.close_ask(connection, ask.id, answer=answer, at=at, reason=reason) is not None

        event = self._hold.event("ask.closed", self._path, "ok", kind=ask.kind, answer=answer, reason=reason)
        closed = await self._hold.write(work, events=[event], priority=3)
        await self._hold.refresh()
        return closed

    async def remind(self, ask: AskRow, mention: str, text: str, next_at: datetime | None) -> None:
        """Posts a reminder once, and notes when the next one is due."""
        body = {"mention": mention, "text": text, "ask": ask.id}

        def work(connection: Any) -> None:
            if asks.reminded(connection, ask, next_at):
                key = f"{ask.id}/{ask.reminded}"
                outbox.put(
                    connection, self._hold.run, "reminder", body, channel=ask.channel, priority=3, key=key
                )

        event = self._hold.event("ask.reminded", self._path, "ok", mention=mention)
        await self._hold.write(work, events=[event])
        await self._hold.refresh()

    async def post(
        self, kind: str, body: Mapping[str, Any], *, channel: str = "", priority: int = 1, key: str = ""
    ) -> None:
        """Puts a message into the outbox; one of the same key only once."""
        # Also without a key: a transaction of which nobody knows whether it was committed is tried again.
        key = f"{self._hold.run}/{self._path}/{key or new_id()}"
        await self._hold.write(
            lambda connection: outbox.put(
                connection,
                self._hold.run,
                kind,
                body,
                channel=self._channel(channel),
                priority=priority,
                key=key,
            )
        )


def open_with_card(connection: Any, question: Question, at: datetime) -> AskRow:
    """Opens an ask, with a card of its own when it has a channel of its own."""
    ask, opened = asks.open_ask(connection, question, at)
    if opened and ask.channel:
        cards.add(connection, cards.Card(id=ask.id, kind="gate", correlation=ask.run, channel=ask.channel))
    return ask
