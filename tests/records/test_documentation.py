"""docs/database.md says what is so."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from runbooks.errors import RecordsError
from runbooks.records import reports
from runbooks.records.cards import Card
from runbooks.records.carriage import prepare_carriage
from runbooks.records.database import open_database
from runbooks.records.migrate import VERSION_TABLE
from runbooks.records.only_process import only_process
from runbooks.records.records import Records
from runbooks.records.schema import metadata
from runbooks.watch.damping import Damping
from runbooks.watch.signal import Seen
from runbooks.watch.thinning import Keep, Thinning
from tests.records.conftest import make_event, make_result
from tests.runs.conftest import house_of
from tests.runs.test_running import THREE
from tests.watch.conftest import KIM, Post, signal
from tests.watch.test_digests import Room

PAGE = (Path(__file__).parents[2] / "docs" / "database.md").read_text()


@pytest.fixture
def least_url(migrated_postgres_url: str) -> Iterator[str]:
    """A database whose tables belong to another role, for one that has only the documented grants."""
    owner = open_database(migrated_postgres_url)
    prepare_carriage(owner)
    owner.dispose()
    role = "r" + re.sub(r".*/(t\w+)\?.*", r"\1", migrated_postgres_url)
    with psycopg.connect(migrated_postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN")
        (grants,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
        admin.execute(grants.replace("TO maint_app;", f"TO {role};"))
    yield migrated_postgres_url.replace("//postgres:@", f"//{role}:@")
    with psycopg.connect(migrated_postgres_url, autocommit=True) as admin:
        admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.fixture
async def least(least_url: str) -> AsyncIterator[Records]:
    """The records as that role has them."""
    records = await Records.open(least_url)
    yield records
    await records.close()


async def test_the_documented_grants_are_enough(least: Records) -> None:
    """A role with the grants on the page can do everything that Maint does."""
    result, card = make_result(1.0, at=datetime.now(UTC)), Card(kind="health", correlation="c1", channel="C1")

    assert await least.record(make_event(), "k") is True
    assert await least.record(make_event(), "k") is False
    await least.keep([result])
    assert (await least.previous([result.series]))[result.series].values == {"elapsed_ms": 1.0}
    assert await least.medians([result.series]) == {result.series: 1.0}
    await least.add_card(card)
    assert await least.card_posted(card.id, "1.1") is True
    await least.card_finished(card.id)
    assert await least.unfinished_cards(datetime.now(UTC)) == ()
    assert len(await least.events()) == 2
    removed = await least.prune(deliveries_days=-1, watch_days=-1)
    assert {name for name, count in removed.items() if count} == {"deliveries"}
    nothing = timedelta(0)
    keep = Keep(full=nothing, hourly=nothing, daily=nothing, most_bytes=1_000_000)
    later = datetime.now(UTC) + timedelta(days=3)
    thinned = await Thinning(least, keep, lambda: later).round()
    assert thinned == {"results": 1, "hours": 1, "days": 1, "early": 0}


async def test_the_documented_grants_open_and_end_alerts(least: Records) -> None:
    """One that opens, one that never does, one that somebody takes on: with cards and audit events."""
    post = Post(least)
    waits = {"damping": Damping(wait=timedelta(minutes=5))}
    await post.take(signal("a"), signal("b", **waits))
    (alert,) = await post.open()
    await post.alerts.acknowledge(alert.id, KIM)
    await post.take(signal("a", Seen.WELL, minutes=1), signal("b", Seen.WELL, minutes=1, **waits))

    assert await post.open() == ()
    assert len(await post.events("resolved")) == 1
    assert (await least.prune(watch_days=-1))["alerts"] == 1


async def test_the_documented_grants_make_digests(least: Records) -> None:
    """A digest, two looks that are one line, and that somebody takes note of what stands in Slack."""
    room = Room(least)
    row = await room.report(0)
    await room.report(1)
    await room.report(1, minutes=5)
    assert row is not None
    await least.write(lambda connection: reports.posted(connection, row.id, "1.1"))
    await room.duty.attend(("out", row.id), room.post.now)

    assert room.heart.beats[-1] == "success"


async def test_the_documented_grants_carry_a_run(least_url: str, tmp_path: Path) -> None:
    """A process with that role starts a run, carries it and ends it, locks and journal included."""
    async with house_of(least_url, tmp_path, {"three": THREE.replace("DIR", str(tmp_path))}) as house:
        run = await house.start("three")
        await house.over(run)

        assert house.effects() == ["a", "b7", "c"]
        assert await house.crew.tidy() == 0


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_events SET outcome = 'ok'", "DELETE FROM audit_events", "TRUNCATE audit_events"],
)
async def test_the_documented_grants_do_not_reach_the_log(least: Records, statement: str) -> None:
    """The role may not change audit events: it is refused before any trigger is asked."""
    with pytest.raises(ProgrammingError, match="permission denied"), least.engine.begin() as connection:
        connection.execute(text(statement))


async def test_a_missing_grant_is_said(least: Records, migrated_postgres_url: str) -> None:
    """Without one of the grants, the error names the page."""
    with psycopg.connect(migrated_postgres_url, autocommit=True) as admin:
        admin.execute(f"REVOKE INSERT ON deliveries FROM {least.engine.url.username}")

    with pytest.raises(RecordsError, match="`maint migrate --harden` grants it"):
        await least.record(make_event(), "k")


def test_every_table_is_on_the_page() -> None:
    """The table of what is kept names every table, and each has its grants."""
    for table in (*metadata.tables, VERSION_TABLE):
        assert f"`{table}`" in PAGE
        assert re.search(rf"^GRANT .*\b{table}\b", PAGE, re.MULTILINE)


async def test_the_documented_backup_can_be_taken_while_serving(tmp_path: Path) -> None:
    """VACUUM INTO makes a copy with every event, while the file is served and written to."""
    url = f"sqlite:///{tmp_path}/maint.db"
    with only_process(url):
        records = await Records.open(url)
        await records.record(make_event(object="kept"))
        backup = create_engine(url)
        with backup.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text(f"VACUUM INTO '{tmp_path}/copy.db'"))
        backup.dispose()
        await records.close()

    copy = await Records.open(f"sqlite:///{tmp_path}/copy.db")
    assert [found.event.object for found in await copy.events()] == ["kept"]
    await copy.close()
