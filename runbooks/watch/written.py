"""A policy as the row of a ladder keeps it: what maint.yaml says later changes no climb under way."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from runbooks.records.ladders import LadderRow
from runbooks.spec.model import parse_duration, show_duration
from runbooks.watch.escalation import Ladder, new_ladder
from runbooks.watch.policies import Policy

#: The plan of what nobody is told of. It is not empty: an empty one was not looked up yet.
NOBODY: Mapping[str, Any] = {"levels": []}


def written(policy: Policy) -> Mapping[str, Any]:
    """The policy as a row keeps it."""
    return {
        "levels": [
            {
                "who": list(level.who),
                "by": list(level.by),
                "after": show_duration(level.after),
                "note": level.note,
            }
            for level in policy.levels
        ],
        "repeat": policy.repeat,
        "every": show_duration(policy.every),
    }


def read_policy(plan: Mapping[str, Any]) -> Policy | None:
    """The policy of a row; None when it tells nobody."""
    return Policy.model_validate(plan) if plan.get("levels") else None


def ladder_of(row: LadderRow) -> Ladder:
    """The ladder of a row."""
    policy = read_policy(row.plan)
    fresh = begun(policy, row.due_at)
    return replace(
        fresh,
        turn=row.turn,
        told=row.told,
        due_at=row.due_at,
        rests=row.rests,
        acknowledged=row.acknowledged,
        over=row.ended,
    )


def begun(policy: Policy | None, at: datetime) -> Ladder:
    """The ladder of a policy at its bottom, counted from that moment."""
    if policy is None:
        return new_ladder((), 0, parse_duration("1h"), at)
    return new_ladder(policy.gaps(), policy.repeat, policy.every, at)


def row_of(row: LadderRow, ladder: Ladder, wake_at: datetime | None) -> LadderRow:
    """The row with the ladder as it stands now."""
    return replace(
        row,
        turn=ladder.turn,
        told=ladder.told,
        due_at=ladder.due_at,
        rests=ladder.rests,
        acknowledged=ladder.acknowledged,
        ended=ladder.over,
        wake_at=wake_at,
    )
