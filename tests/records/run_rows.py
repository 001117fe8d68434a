"""Runs and asks put straight into the database, for tests that are about what comes after."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert

from runbooks.ids import new_id
from runbooks.records.asks import Question, open_ask
from runbooks.records.person import Person
from runbooks.records.run_tables import run_snapshots, runs
from runbooks.records.runs import AskRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REQUESTER = Person(kind="slack", id="U1", name="Rita", team="T1")


def add_run(connection: Connection, **changes: Any) -> str:
    """A run that waits at a gate, of which a test names only what it is about; its id."""
    snapshot = new_id()
    connection.execute(
        insert(run_snapshots).values(digest=snapshot, path="deploy.yaml", source="name: deploy")
    )
    values: dict[str, Any] = {
        "id": new_id(),
        "key": None,
        "runbook": "deploy",
        "title": "Deploy",
        "snapshot": snapshot,
        "params": {},
        "secrets": {},
        "plan": {},
        "plan_digest": "d1",
        "state": "waiting",
        "waiting_on": "gate",
        "wake_at": None,
        "segment": 1,
        "fence": 1,
        "executor": "",
        "phase": "forward",
        "stopping": "",
        "stop_reason": "",
        "requester_kind": REQUESTER.kind,
        "requester_id": REQUESTER.id,
        "requester_name": REQUESTER.name,
        "team": REQUESTER.team,
        "channel": "C1",
        "channel_name": "ops",
        "rollback_of": None,
        "locks": [],
        "note": "",
        "version": 1,
        "created_at": NOON,
        "started_at": NOON,
        "ended_at": None,
    } | changes
    connection.execute(insert(runs).values(values))
    return str(values["id"])


def gate_spec(**changes: Any) -> dict[str, Any]:
    """What a gate's ask says of who may decide."""
    return {
        "approvers": ["sre"],
        "quorum": 1,
        "requester_may_approve": False,
        "then": "",
    } | changes


def add_ask(connection: Connection, run: str, **changes: Any) -> AskRow:
    """A gate's ask at the step `go`, of which a test names only what it is about."""
    values: dict[str, Any] = {
        "run": run,
        "path": "go",
        "kind": "gate",
        "title": "Go?",
        "choices": ("approve", "reject"),
        "spec": gate_spec(),
        "digest": "d1",
    } | changes
    ask, opened = open_ask(connection, Question(**values), NOON, again=True)
    assert opened
    return ask
