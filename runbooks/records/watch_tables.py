"""The tables of what Maint does by itself: schedules, freezes, reports, alerts, and who is told of them."""

from sqlalchemy import Boolean, Column, Double, Index, Integer, Table

from runbooks.records.columns import Json, UtcTime, Words
from runbooks.records.schema import metadata

#: One row is one entry under a runbook's `schedule:`. `digest` is of its text: who edits it begins anew.
schedules = Table(
    "schedules",
    metadata,
    Column("id", Words(250), primary_key=True),  # "health:0"
    Column("runbook", Words(200), nullable=False),
    Column("n", Integer, nullable=False),
    Column("digest", Words(64), nullable=False),
    Column("paused_by", Words(200), nullable=False),
    Column("paused_reason", Words(1000), nullable=False),
    Column("paused_at", UtcTime),
    Column("skip_next", Boolean, nullable=False),
    Column("last_fire", UtcTime),
    Column("next_fire", UtcTime),
)

#: One row is one time that a schedule fires: who inserts it is the one that does it.
ticks = Table(
    "ticks",
    metadata,
    Column("id", Words(300), primary_key=True),  # "schedule:health:0:2026-11-22T09:00"
    Column("schedule", Words(250), nullable=False),
    Column("fire_at", UtcTime, nullable=False),
    Column("local", Words(50), nullable=False),
    Column("state", Words(20), nullable=False),  # waiting, claimed, done, skipped, failed
    Column("kind", Words(20), nullable=False),  # run, report
    Column("run", Words(26), nullable=False),
    Column("queued_after", Words(300), nullable=False),
    Column("note", Words(1000), nullable=False),
    Column("claimed_until", UtcTime),
    Column("wake_at", UtcTime),  # while there is something left to do
    Column("out_by", UtcTime),  # of a digest: late from then on; empty when nobody waits for it any more
    Column("at", UtcTime, nullable=False),
)
Index("ix_ticks_schedule", ticks.c.schedule, ticks.c.fire_at)
_TICK_DUE = ticks.c.wake_at.is_not(None)
Index("ix_ticks_due", ticks.c.wake_at, sqlite_where=_TICK_DUE, postgresql_where=_TICK_DUE)
_AWAITED = ticks.c.out_by.is_not(None)
Index("ix_ticks_awaited", ticks.c.out_by, sqlite_where=_AWAITED, postgresql_where=_AWAITED)

#: When nothing risky may begin. `targets` is a list of names, or `["*"]`.
freezes = Table(
    "freezes",
    metadata,
    Column("id", Words(26), primary_key=True),
    Column("targets", Json, nullable=False),
    Column("environments", Json, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("reason", Words(1000), nullable=False),
    Column("by_id", Words(100), nullable=False),
    Column("by_name", Words(200), nullable=False),
    Column("ended_at", UtcTime),
    Column("ended_by", Words(200), nullable=False),
)
_FROZEN = freezes.c.ended_at.is_(None)
Index("ix_freezes_open", freezes.c.until, sqlite_where=_FROZEN, postgresql_where=_FROZEN)

#: What went out by itself or on request: digests, changes, the weekly form, the line that proves silence.
#: `id` is made from `source`: a tick, a command, or a schedule with its day. `body` is what its card shows.
reports = Table(
    "reports",
    metadata,
    Column("id", Words(26), primary_key=True),
    Column("source", Words(350), nullable=False),
    Column("schedule", Words(250), nullable=False),  # empty: somebody asked for it
    Column("runbook", Words(200), nullable=False),
    Column("kind", Words(20), nullable=False),  # digest, changes, weekly, line
    Column("status", Words(20), nullable=False),
    Column("counts", Json, nullable=False),
    Column("states", Json, nullable=False),  # how each check was found: what the next one is held against
    Column("body", Json, nullable=False),
    Column("started", UtcTime, nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("posted_channel", Words(100), nullable=False),  # empty: it has no card
    Column("posted_ts", Words(50)),
    Column("noted_at", UtcTime),  # when what follows from its being posted was done
    Column("previous", Words(26), nullable=False),
    Column("version", Integer, nullable=False),
)
Index("ix_reports_schedule", reports.c.schedule, reports.c.kind, reports.c.started)
Index("ix_reports_started", reports.c.started)
_TO_NOTE = reports.c.posted_ts.is_not(None) & reports.c.noted_at.is_(None)
Index("ix_reports_to_note", reports.c.started, sqlite_where=_TO_NOTE, postgresql_where=_TO_NOTE)

#: What is left of a series' headlines of an hour or a day, when they are not kept one by one any more.
trends = Table(
    "trends",
    metadata,
    Column("runbook", Words(200), primary_key=True),
    Column("step", Words(200), primary_key=True),
    Column("target", Words(200), primary_key=True),
    Column("kind", Words(100), primary_key=True),
    Column("resolution", Words(10), primary_key=True),  # hour, day
    Column("at", UtcTime, primary_key=True),  # when it begins, in UTC
    Column("unit", Words(20), nullable=False),
    Column("ok", Integer, nullable=False),
    Column("warning", Integer, nullable=False),
    Column("critical", Integer, nullable=False),
    Column("unknown", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("count", Integer, nullable=False),  # of numbers; the rest is about them, empty when there are none
    Column("mean", Double),
    Column("low", Double),
    Column("high", Double),
    Column("p50", Double),
    Column("p95", Double),
    Column("p99", Double),
    sqlite_with_rowid=False,
)
Index("ix_trends_at", trends.c.resolution, trends.c.at)

#: One row is one trouble, from the first bad observation to its end. One that is `pending` is told to nobody.
#: `wake_at` is the alert's own next moment (its snooze ends), `level_at` that of its escalation.
alerts = Table(
    "alerts",
    metadata,
    Column("id", Words(26), primary_key=True),
    Column("fingerprint", Words(64), nullable=False),
    Column("source", Words(20), nullable=False),  # check, maint, or the name of a hook
    Column("external_key", Words(500), nullable=False),  # the sender's own name of this one firing
    Column("severity", Words(20), nullable=False),  # critical, warning, info
    Column("status", Words(20), nullable=False),  # pending, firing, acknowledged, snoozed, resolved
    Column("title", Words(500), nullable=False),
    Column("summary", Words(3000), nullable=False),
    Column("value", Double),
    Column("unit", Words(20), nullable=False),
    Column("runbook", Words(200), nullable=False),
    Column("step", Words(200), nullable=False),
    Column("target", Words(200), nullable=False),
    Column("environment", Words(100), nullable=False),
    Column("owner", Words(200), nullable=False),
    Column("channel", Words(100), nullable=False),  # where its card stands; empty: nowhere
    Column("storm", Words(26), nullable=False),  # the alert that stands for this and many more
    Column("labels", Json, nullable=False),
    Column("annotations", Json, nullable=False),
    Column("links", Json, nullable=False),
    Column("count", Integer, nullable=False),  # bad observations
    Column("opened_at", UtcTime, nullable=False),
    Column("last_at", UtcTime, nullable=False),  # the newest observation; an older one changes nothing
    Column("changed_at", UtcTime, nullable=False),
    Column("resolved_at", UtcTime),
    Column("resolved_by", Words(200), nullable=False),
    Column("resolve_reason", Words(1000), nullable=False),
    Column("acked_by_id", Words(100), nullable=False),
    Column("acked_by_name", Words(200), nullable=False),
    Column("acked_at", UtcTime),
    Column("snoozed_until", UtcTime),
    Column("pending_since", UtcTime),
    Column("clear_since", UtcTime),
    Column("flaps", Json, nullable=False),
    Column("flapping", Boolean, nullable=False),
    Column("expected_by", UtcTime),  # when it should have been looked at again
    Column("stale", Boolean, nullable=False),  # it was not
    Column("policy", Words(200), nullable=False),
    Column("level", Integer, nullable=False),
    Column("level_round", Integer, nullable=False),
    Column("level_at", UtcTime),
    Column("wake_at", UtcTime),
    Column("version", Integer, nullable=False),  # raised at every change that a card shows
)
_UNRESOLVED = alerts.c.resolved_at.is_(None)
Index(
    "uq_alerts_open",
    alerts.c.fingerprint,
    unique=True,
    sqlite_where=_UNRESOLVED,
    postgresql_where=_UNRESOLVED,
)
Index("ix_alerts_fingerprint", alerts.c.fingerprint, alerts.c.opened_at)
Index("ix_alerts_opened", alerts.c.opened_at)
Index("ix_alerts_channel", alerts.c.channel, alerts.c.opened_at)
_IN_STORM = alerts.c.storm != ""
Index("ix_alerts_storm", alerts.c.storm, sqlite_where=_IN_STORM, postgresql_where=_IN_STORM)
_WAKES = alerts.c.wake_at.is_not(None)
Index("ix_alerts_due", alerts.c.wake_at, sqlite_where=_WAKES, postgresql_where=_WAKES)
_EXPECTED = alerts.c.expected_by.is_not(None)
Index("ix_alerts_expected", alerts.c.expected_by, sqlite_where=_EXPECTED, postgresql_where=_EXPECTED)
_CLIMBS = alerts.c.level_at.is_not(None)
Index("ix_alerts_level", alerts.c.level_at, sqlite_where=_CLIMBS, postgresql_where=_CLIMBS)

#: What became of an alert, and by whom: the timeline of its card. `what`: opened, severity, flapping, calm,
#: acknowledged, snoozed, silenced, unsilenced, woke, stale, seen, resolved, reopened, escalated.
alert_changes = Table(
    "alert_changes",
    metadata,
    Column("id", Words(26), primary_key=True),
    Column("alert", Words(26), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("what", Words(20), nullable=False),
    Column("before", Words(100), nullable=False),
    Column("after", Words(100), nullable=False),
    Column("value", Double),
    Column("by_id", Words(100), nullable=False),
    Column("by_name", Words(200), nullable=False),
    Column("note", Words(1000), nullable=False),
)
Index("ix_alert_changes_alert", alert_changes.c.alert, alert_changes.c.at)

#: What goes to people and systems beside cards, until it has arrived. `id` is its idempotency key: a sha256.
notices = Table(
    "notices",
    metadata,
    Column("id", Words(64), primary_key=True),
    Column("about", Words(20), nullable=False),  # alert, ask, report
    Column("subject", Words(300), nullable=False),  # its id
    Column("kind", Words(20), nullable=False),  # pagerduty, opsgenie, webhook, email, dm, mention
    Column("target", Words(500), nullable=False),
    Column("body", Json, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("wake_at", UtcTime),  # until it is done or given up; moved on by who sends it
    Column("attempts", Integer, nullable=False),
    Column("done_at", UtcTime),
    Column("failed_at", UtcTime),
    Column("error", Words(3000), nullable=False),
)
_TO_SEND = notices.c.wake_at.is_not(None)
Index("ix_notices_due", notices.c.wake_at, sqlite_where=_TO_SEND, postgresql_where=_TO_SEND)
Index("ix_notices_subject", notices.c.subject)

#: How far up its policy an alert, or a question to people, has come. `plan`: the policy as it was when this
#: turn began; empty while nobody looked yet which it is.
ladders = Table(
    "ladders",
    metadata,
    Column("about", Words(20), primary_key=True),  # alert, ask
    Column("subject", Words(26), primary_key=True),  # its id
    Column("policy", Words(200), nullable=False),
    Column("severity", Words(20), nullable=False),  # when the policy was chosen
    Column("plan", Json, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("told", Integer, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("rests", Boolean, nullable=False),
    Column("acknowledged", Boolean, nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("wake_at", UtcTime),
)
_WAITS = ladders.c.wake_at.is_not(None)
Index("ix_ladders_due", ladders.c.wake_at, sqlite_where=_WAITS, postgresql_where=_WAITS)

#: Who stands in for whom in a rotation of maint.yaml, from when to when.
rotations_overrides = Table(
    "rotations_overrides",
    metadata,
    Column("id", Words(26), primary_key=True),
    Column("rotation", Words(200), nullable=False),
    Column("person", Words(100), nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("by_id", Words(100), nullable=False),
    Column("by_name", Words(200), nullable=False),
)
Index("ix_rotations_overrides_rotation", rotations_overrides.c.rotation, rotations_overrides.c.until)
