"""What the steps of a plan would reach if they began now: measured, so it is in no plan and in no digest."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog

from runbooks.backups.backup import Catalogue
from runbooks.errors import MaintError
from runbooks.ids import new_id
from runbooks.scrub import Scrubber
from runbooks.steps.action import Action, Preview
from runbooks.steps.gate import Gate
from runbooks.steps.memory import Memory
from runbooks.steps.reach import Connections, Reach
from runbooks.steps.step import Step
from runbooks.targets import TargetBase
from runbooks.visible import shorten

log = structlog.get_logger()

#: Seconds that one step gets to look; who waits for a plan waits for it.
LONGEST_LOOK = 10.0
#: Steps that are looked at; a list of two hundred items is not asked about two hundred times.
MOST = 20
#: Lines, and characters of one, that are kept of a step.
MOST_LINES, LONGEST_LINE = 30, 300


async def preview_all(models: Mapping[str, Step], reach: Reach, scrub: Scrubber) -> dict[str, Preview]:
    """The previews of those that have one, by path. What cannot be measured says so."""
    actions = [(path, model) for path, model in models.items() if _looks(model)][:MOST]
    found = await asyncio.gather(*(_preview(path, model, reach) for path, model in actions))
    return {
        path: _clean(preview, scrub)
        for (path, _), preview in zip(actions, found, strict=True)
        if preview is not None
    }


async def preview_now(
    models: Mapping[str, Step],
    targets: Mapping[str, TargetBase],
    memory: Memory,
    backups: Catalogue,
    scrub: Scrubber,
    now: Callable[[], datetime],
) -> dict[str, Preview]:
    """The same, with connections of its own."""
    async with Connections() as connections:
        reach = Reach(targets=targets, connections=connections, now=now, memory=memory, backups=backups)
        return await preview_all(models, reach, scrub)


def _looks(model: Step) -> bool:
    return isinstance(model, Action) and type(model).preview is not Action.preview


async def _preview(path: str, action: Any, reach: Reach) -> Preview | None:
    target = reach.targets.get(getattr(action, "target", "")) if action.needs is not None else None
    if action.needs is not None and not isinstance(target, action.needs):
        return None
    try:
        async with asyncio.timeout(LONGEST_LOOK):
            found: Preview | None = await action.preview(target, reach)
            return found
    except TimeoutError:
        return Preview(lines=(f"unknown: no answer within {LONGEST_LOOK:.0f} s",))
    except MaintError as error:
        return Preview(lines=(f"unknown: {error}",))
    except Exception:
        reference = new_id()[-8:]
        log.exception("preview.crashed", step=path, reference=reference)
        return Preview(lines=(f"unknown: a fault in Maint itself: look for {reference} in its log",))


def _clean(preview: Preview, scrub: Scrubber) -> Preview:
    lines = tuple(shorten(scrub(line), LONGEST_LINE) for line in preview.lines[:MOST_LINES])
    return Preview(lines=lines, refused=shorten(scrub(preview.refused), LONGEST_LINE))


def until_next_gate(models: Mapping[str, Step], path: str) -> dict[str, Step]:
    """The steps behind that one, in their order, up to the next gate: what saying yes there lets begin."""
    found: dict[str, Step] = {}
    behind = False
    for each, model in models.items():
        if behind and isinstance(model, Gate):
            break
        if behind:
            found[each] = model
        behind = behind or each == path
    return found


def spoken(previews: Mapping[str, Preview]) -> list[str]:
    """The previews in lines, each with its step."""
    lines = []
    for path, preview in previews.items():
        lines += [f"{path}: {line}" for line in preview.lines]
        if preview.refused:
            lines.append(f"{path}: it would be refused now: {preview.refused}")
    return lines
