"""The tables. A change here needs a migration; a test compares the two."""

from sqlalchemy import Column, Double, ForeignKey, Index, Integer, MetaData, Table

from runbooks.records.columns import Serial, UtcTime, Words

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

#: What Slack delivered already, so that a second delivery does nothing. Kept for a day.
deliveries = Table(
    "deliveries",
    metadata,
    Column("digest", Words(64), primary_key=True),  # sha256 of the key: it may hold a token
    Column("at", UtcTime, nullable=False, index=True),
)

#: What every step of every report found. `value` is the headline, when it is a number.
check_results = Table(
    "check_results",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("correlation", Words(100), nullable=False),
    Column("runbook", Words(200), nullable=False),
    Column("step", Words(200), nullable=False),
    Column("target", Words(200), nullable=False),
    Column("kind", Words(100), nullable=False),
    Column("status", Words(20), nullable=False),
    Column("summary", Words(3000), nullable=False),
    Column("headline", Words(100), nullable=False),
    Column("value", Double),
    Column("unit", Words(20), nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("at", UtcTime, nullable=False, index=True),
    sqlite_autoincrement=True,
)
# One series of measurements in order of time, with the value: the median is read from the index alone.
Index(
    "ix_check_results_series",
    check_results.c.runbook,
    check_results.c.step,
    check_results.c.target,
    check_results.c.kind,
    check_results.c.at,
    check_results.c.value,
)
Index("ix_check_results_correlation", check_results.c.correlation)

#: Every value that a result has, the headline's too: a number, a text, or neither (no data).
measurements = Table(
    "measurements",
    metadata,
    Column("result", Serial, ForeignKey(check_results.c.id, ondelete="CASCADE"), primary_key=True),
    Column("output", Words(100), primary_key=True),
    Column("number", Double),
    Column("text", Words(1000)),
    Column("unit", Words(20), nullable=False),
    sqlite_with_rowid=False,  # the primary key is the table: one tree instead of two
)

#: Where a card stands in Slack. `ts` is empty until Slack has taken it, `finished_at` while it may change.
cards = Table(
    "cards",
    metadata,
    Column("id", Words(26), primary_key=True),
    Column("kind", Words(50), nullable=False),
    Column("correlation", Words(100), nullable=False),
    Column("channel", Words(100), nullable=False),
    Column("ts", Words(50)),
    Column("created_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    # Of a run's card: the version of the run that it shows, and that it should; which change waits.
    Column("drawn", Integer, nullable=False, server_default="0"),
    Column("wanted", Integer, nullable=False, server_default="0"),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("drawn_at", UtcTime),
    Column("claimed_until", UtcTime),
)
Index(
    "ix_cards_unfinished",
    cards.c.created_at,
    sqlite_where=cards.c.finished_at.is_(None),
    postgresql_where=cards.c.finished_at.is_(None),
)
_STALE = cards.c.drawn < cards.c.wanted
Index("ix_cards_stale", cards.c.priority, sqlite_where=_STALE, postgresql_where=_STALE)
Index("ix_cards_correlation", cards.c.correlation)
