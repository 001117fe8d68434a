"""Rows of runs, of which a test names only what it is about."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert

from runbooks.ids import new_id
from runbooks.records.run_tables import asks, locks, run_snapshots, run_steps, runs, votes

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
SNAPSHOT = "0" * 64


def add_run(connection: Connection, **changes: Any) -> str:
    """A run that is under way; returns its id."""
    if connection.execute(run_snapshots.select()).first() is None:
        connection.execute(
            insert(run_snapshots).values(digest=SNAPSHOT, path="deploy.yaml", source="name: deploy")
        )
    row: dict[str, Any] = {
        "id": new_id(),
        "key": None,
        "runbook": "deploy-rollout",
        "title": "Gradual rollout of 1.2.3",
        "snapshot": SNAPSHOT,
        "params": {"version": "1.2.3"},
        "secrets": {},
        "plan": {},
        "plan_digest": "3f2a91bc04d7" + "0" * 52,
        "state": "running",
        "waiting_on": "",
        "wake_at": None,
        "segment": 1,
        "fence": 1,
        "executor": "",
        "phase": "forward",
        "stopping": "",
        "stop_reason": "",
        "requester_kind": "slack",
        "requester_id": "U00000SRE1",
        "requester_name": "sre1",
        "team": "T00SANDBOX",
        "channel": "C000000OPS",
        "channel_name": "ops",
        "rollback_of": None,
        "locks": ["app"],
        "note": "",
        "version": 1,
        "created_at": NOW,
        "started_at": NOW,
        "ended_at": None,
    }
    row |= changes
    connection.execute(insert(runs).values(row))
    return str(row["id"])


def add_step(connection: Connection, run: str, path: str, ordinal: int = 0, **changes: Any) -> None:
    """A step of it that is still to be done."""
    row: dict[str, Any] = {
        "run": run,
        "path": path,
        "ordinal": ordinal,
        "phase": "forward",
        "kind": "command",
        "title": path,
        "state": "pending",
        "attempt": 1,
        "outputs": {},
        "summary": "",
        "progress": "",
        "error": "",
        "data": {},
        "started_at": None,
        "ended_at": None,
    }
    connection.execute(insert(run_steps).values(row | changes))


def add_ask(connection: Connection, run: str, **changes: Any) -> str:
    """An open gate of it; returns its id."""
    row: dict[str, Any] = {
        "id": new_id(),
        "run": run,
        "path": "go",
        "kind": "gate",
        "round": 1,
        "state": "open",
        "title": "Go?",
        "choices": ["approve", "reject"],
        "spec": {"approvers": ["sre"], "quorum": 1},
        "digest": "",
        "channel": "",
        "opened_at": NOW,
        "deadline": None,
        "remind_at": None,
        "reminded": 0,
        "answer": "",
        "answered_by": "",
        "answered_name": "",
        "reason": "",
        "evidence": "",
        "closed_at": None,
    }
    row |= changes
    connection.execute(insert(asks).values(row))
    return str(row["id"])


def add_vote(connection: Connection, ask: str, **changes: Any) -> None:
    """Somebody's word on an ask."""
    row: dict[str, Any] = {
        "ask": ask,
        "person": "U00000SRE2",
        "name": "sre2",
        "kind": "slack",
        "choice": "approve",
        "reason": "",
        "break_glass": False,
        "at": NOW,
    }
    connection.execute(insert(votes).values(row | changes))


def add_lock(connection: Connection, run: str, target: str = "app", reason: str = "") -> None:
    """A target that the run holds."""
    connection.execute(insert(locks).values(target=target, run=run, since=NOW, reason=reason))
