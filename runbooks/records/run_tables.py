"""The tables of runs: what is to be done, what was done, what people are asked, who holds what."""

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from runbooks.records.columns import Json, Serial, UtcTime, Words
from runbooks.records.schema import metadata

#: Runbook files as they were when a run of them began: an edit does not change a run.
run_snapshots = Table(
    "run_snapshots",
    metadata,
    Column("digest", Words(64), primary_key=True),
    Column("path", Words(1000), nullable=False),
    Column("source", Text, nullable=False),
)

#: One row is one run; everything that it is now stands here and in `run_steps`, `effects` and `asks`.
runs = Table(
    "runs",
    metadata,
    Column("id", Words(26), primary_key=True),
    Column("key", Words(200), unique=True),  # who asks twice with the same key gets the same run
    Column("runbook", Words(200), nullable=False),
    Column("title", Words(500), nullable=False),
    Column("snapshot", Words(64), ForeignKey(run_snapshots.c.digest), nullable=False),
    Column("params", Json, nullable=False),
    Column("secrets", Json, nullable=False),  # encrypted, and emptied when the run is over
    Column("plan", Json, nullable=False),
    Column("plan_digest", Words(64), nullable=False),
    Column("state", Words(20), nullable=False),
    Column("waiting_on", Words(20), nullable=False),
    Column("wake_at", UtcTime),
    Column("segment", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("executor", Words(26), nullable=False),
    Column("phase", Words(20), nullable=False),
    Column("stopping", Words(20), nullable=False),  # what people asked for while it ran: cancel, rollback
    Column("stop_reason", Words(1000), nullable=False),
    Column("requester_kind", Words(20), nullable=False),
    Column("requester_id", Words(100), nullable=False),
    Column("requester_name", Words(200), nullable=False),
    Column("team", Words(100), nullable=False),
    Column("channel", Words(100), nullable=False),
    Column("channel_name", Words(200), nullable=False),
    Column("rollback_of", Words(26)),
    Column("locks", Json, nullable=False),
    Column("note", Words(1000), nullable=False),
    Column("version", Integer, nullable=False),  # raised at every change that a card shows
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
)
Index("ix_runs_state", runs.c.state, runs.c.created_at)
Index("ix_runs_created", runs.c.created_at)
Index("ix_runs_waiting", runs.c.waiting_on, runs.c.created_at)
Index(
    "ix_runs_due",
    runs.c.wake_at,
    sqlite_where=runs.c.wake_at.is_not(None),
    postgresql_where=runs.c.wake_at.is_not(None),
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("run", Words(26), ForeignKey(runs.c.id), primary_key=True),
    Column("path", Words(300), primary_key=True),  # "shift", "nodes[2].drain", "rollback:shift"
    Column("ordinal", Integer, nullable=False),
    Column("phase", Words(20), nullable=False),
    Column("kind", Words(100), nullable=False),
    Column("title", Words(500), nullable=False),
    Column("state", Words(20), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("outputs", Json, nullable=False),
    Column("summary", Words(3000), nullable=False),
    Column("progress", Words(1000), nullable=False),
    Column("error", Words(3000), nullable=False),
    Column("data", Json, nullable=False),  # what its kind keeps: stages, verdicts, the recorded state
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
)

#: The journal: a row before every effect on the outside, completed after it.
effects = Table(
    "effects",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("run", Words(26), ForeignKey(runs.c.id), nullable=False),
    Column("path", Words(300), nullable=False),
    Column("name", Words(100), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("step_attempt", Integer, nullable=False),  # of the step, when this was begun
    Column("key", Words(200), nullable=False),
    Column("repeatable", Boolean, nullable=False),
    Column("state", Words(20), nullable=False),  # started, finished, failed, doubted
    Column("executor", Words(26), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("before", Json, nullable=False),
    Column("result", Json, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    UniqueConstraint("run", "path", "name", "attempt", name="uq_effects_attempt"),
)

#: Where people decide: gates, questions after a failure, manual steps, rollouts, reviews.
asks = Table(
    "asks",
    metadata,
    Column("id", Words(26), primary_key=True),
    Column("run", Words(26), ForeignKey(runs.c.id), nullable=False),
    Column("path", Words(300), nullable=False),
    Column("kind", Words(20), nullable=False),
    Column("round", Integer, nullable=False),
    Column("state", Words(20), nullable=False),  # open, closed, void
    Column("title", Words(500), nullable=False),
    Column("choices", Json, nullable=False),
    Column("spec", Json, nullable=False),
    Column("digest", Words(64), nullable=False),
    Column("channel", Words(100), nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("deadline", UtcTime),
    Column("remind_at", UtcTime),
    Column("reminded", Integer, nullable=False),
    Column("answer", Words(20), nullable=False),
    Column("answered_by", Words(100), nullable=False),
    Column("answered_name", Words(200), nullable=False),
    Column("reason", Words(3000), nullable=False),
    Column("evidence", Words(3000), nullable=False),
    Column("closed_at", UtcTime),
    UniqueConstraint("run", "path", "kind", "round", name="uq_asks_round"),
)
_OPEN = asks.c.state == "open"
Index("ix_asks_open", asks.c.remind_at, sqlite_where=_OPEN, postgresql_where=_OPEN)

votes = Table(
    "votes",
    metadata,
    Column("ask", Words(26), ForeignKey(asks.c.id), primary_key=True),
    Column("person", Words(100), primary_key=True),
    Column("name", Words(200), nullable=False),
    Column("kind", Words(20), nullable=False),
    Column("choice", Words(20), nullable=False),
    Column("reason", Words(1000), nullable=False),
    Column("break_glass", Boolean, nullable=False),
    Column("at", UtcTime, nullable=False),
)

#: One disruptive run per target.
locks = Table(
    "locks",
    metadata,
    Column("target", Words(200), primary_key=True),
    Column("run", Words(26), ForeignKey(runs.c.id), nullable=False, index=True),
    Column("since", UtcTime, nullable=False),
    Column("reason", Words(500), nullable=False),
)

#: The processes that carry runs. One whose lease is over starts no effect, and others take its runs over.
replicas = Table(
    "replicas",
    metadata,
    Column("id", Words(26), primary_key=True),
    Column("host", Words(200), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Words(50), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("lease_until", UtcTime, nullable=False),
)

#: What is switched for everybody: `paused`.
switches = Table(
    "switches",
    metadata,
    Column("name", Words(50), primary_key=True),
    Column("by_id", Words(100), nullable=False),
    Column("by_name", Words(200), nullable=False),
    Column("reason", Words(1000), nullable=False),
    Column("at", UtcTime, nullable=False),
)

#: Messages beside the cards that are to be posted: output and notes in a card's thread, reminders.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Words(26), primary_key=True),
    Column("run", Words(26), nullable=False),
    Column("channel", Words(100), nullable=False),  # empty: in the thread of the run's card
    Column("kind", Words(20), nullable=False),
    Column("body", Json, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("claimed_until", UtcTime),
    Column("sent_at", UtcTime),
    Column("ts", Words(50)),
)
_UNSENT = outbox.c.sent_at.is_(None)
Index("ix_outbox_unsent", outbox.c.created_at, sqlite_where=_UNSENT, postgresql_where=_UNSENT)

#: What all replicas together may still ask of Slack: token buckets.
budgets = Table(
    "budgets",
    metadata,
    Column("name", Words(100), primary_key=True),
    Column("tokens", Double, nullable=False),
    Column("at", UtcTime, nullable=False),
)
