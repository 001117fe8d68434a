"""What the files have on a schedule."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from runbooks.records import schedules as records
from runbooks.records.person import Person
from runbooks.records.schedules import ScheduleRow
from runbooks.spec.head import Schedule
from runbooks.spec.runbook import Runbook
from runbooks.spec.runbook_step import RunbookStep
from runbooks.spec.values import fill_known
from runbooks.steps import CHECKS
from runbooks.watch.fire_times import Fire, FireTimes, fire_times, next_fire
from runbooks.watch.freezes import CLOCK


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry under a runbook's `schedule:`."""

    id: str
    runbook: Runbook
    n: int
    schedule: Schedule
    times: FireTimes
    digest: str

    def as_wanted(self, now: datetime) -> records.Schedule:
        """It as a row that begins now."""
        first = next_fire(self.times, now)
        return records.Schedule(
            id=self.id,
            runbook=self.runbook.name,
            n=self.n,
            digest=self.digest,
            next_fire=first.at if first else None,
        )

    @property
    def title(self) -> str:
        """The runbook's, with the parameters of this entry."""
        given = {name: param.default for name, param in self.runbook.params.items()}
        return fill_known(self.runbook.title, {"params": {**given, **self.schedule.params}})

    @property
    def person(self) -> Person:
        """Who asks for what is on it: whoever wrote it into the file was asked then."""
        return Person(kind=CLOCK, id=self.id, name=f"the schedule {self.id}")


def entries(runbooks: Mapping[str, Runbook]) -> dict[str, Entry]:
    """All that is on a schedule, by its id: `health:0`."""
    found = {}
    for runbook in runbooks.values():
        for n, schedule in enumerate(runbook.schedule):
            # Without defaults: a later version that knows more keys does not make it another one.
            text = schedule.model_dump_json(exclude_defaults=True)
            found[f"{runbook.name}:{n}"] = Entry(
                id=f"{runbook.name}:{n}",
                runbook=runbook,
                n=n,
                schedule=schedule,
                times=fire_times(schedule),
                digest=hashlib.sha256(text.encode()).hexdigest(),
            )
    return found


def only_looks(steps: tuple[RunbookStep, ...]) -> bool:
    """Whether the steps are checks and nothing else, whose fields are known without a run."""
    return all(map(_only_looks, steps))


def _only_looks(step: RunbookStep) -> bool:
    if step.when or step.for_each is not None:
        return False
    return only_looks(step.steps) if step.steps else step.kind in CHECKS and "{{" not in str(step.fields)


def upcoming(entry: Entry, row: ScheduleRow | None, now: datetime) -> Iterator[Fire]:
    """The times to come, one that is left out on request not among them."""
    found = entry.times.after(now.astimezone(UTC))
    if row is not None and row.skip_next:
        next(found, None)
    return found
