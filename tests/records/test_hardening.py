"""`harden`: the role that Maint logs in with can add to the audit log, and nothing else."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from runbooks.errors import RecordsError
from runbooks.proof.proof import Proof
from runbooks.proof.signing import SigningKey, make_key
from runbooks.records.audit import Filter, append
from runbooks.records.carriage import prepare_carriage
from runbooks.records.database import open_database
from runbooks.records.grants import TABLES, grants
from runbooks.records.hardening import harden, openings
from runbooks.records.migrate import VERSION_TABLE, migrate
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.records.schema import metadata
from runbooks.steps.reach import utc_now
from tests.records.by_hand import by_hand
from tests.records.conftest import NOON, make_event
from tests.records.tampering import anchor, fill
from tests.runs.conftest import SAM, house_of

KEY = SigningKey(make_key())
ADA = Person(kind="terminal", id="ada@bastion", name="Ada")
GATED = """
    name: gated
    title: Asks, and acts
    locks: [here]
    steps:
      - id: go
        gate: {approvers: [sre], expires: 4h}
      - id: act
        command: {target: here, run: [sh, -c, 'echo acted >> effects'], directory: DIR}
"""

FORBIDDEN = (
    "INSERT INTO audit_events SELECT * FROM audit_events",
    "UPDATE audit_events SET outcome = 'ok'",
    "UPDATE audit_events SET hash = ''",
    "DELETE FROM audit_events",
    "TRUNCATE audit_events",
    "DROP TABLE audit_events",
    "ALTER TABLE audit_events DISABLE TRIGGER ALL",
    "ALTER TABLE audit_events RENAME TO other",
    "ALTER TABLE audit_events OWNER TO CURRENT_USER",
    "DROP TRIGGER audit_events_only_insert ON audit_events",
    "DROP TRIGGER audit_events_check_delete ON audit_events",
    "CREATE TRIGGER mine BEFORE INSERT ON audit_events EXECUTE FUNCTION maint_refuse_audit_change()",
    "CREATE RULE mine AS ON INSERT TO audit_events DO INSTEAD NOTHING",
    "SET session_replication_role = replica",
    "INSERT INTO audit_names SELECT * FROM audit_names",
    "UPDATE audit_names SET name = '', salt = '', removed_at = now()",
    "DELETE FROM audit_names",
    "TRUNCATE audit_names",
    "INSERT INTO audit_targets VALUES ('db', 1)",
    "DELETE FROM audit_targets",
    "TRUNCATE audit_targets",
    "UPDATE audit_checkpoints SET hash = ''",
    "DELETE FROM audit_checkpoints",
    "TRUNCATE audit_checkpoints",
    "DROP FUNCTION maint_append_event",
    "ALTER FUNCTION maint_append_event SECURITY INVOKER",
    "CREATE OR REPLACE FUNCTION maint_refuse_audit_change() RETURNS trigger LANGUAGE sql AS ''",
    "CREATE TABLE mine (x int)",
    "CREATE TABLE maint_dbos.mine (x int)",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "UPDATE maint_schema_version SET version_num = '0001'",
    "SET ROLE postgres",
)


@pytest.fixture
def owner(migrated_postgres_url: str) -> Iterator[Engine]:
    """The login that owns the tables; DBOS's are there too."""
    engine = open_database(migrated_postgres_url)
    prepare_carriage(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def names(migrated_postgres_url: str) -> Iterator[tuple[str, str]]:
    """Names for a role and a login, which are the server's, and so this test's own; gone afterwards."""
    number = re.sub(r".*/t(\w+)\?.*", r"\1", migrated_postgres_url)[:20]
    role, login = f"app{number}", f"in{number}"
    yield role, login
    with psycopg.connect(migrated_postgres_url, autocommit=True) as admin:
        for name in (login, role):
            if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
                admin.execute(f"DROP OWNED BY {name}")
                admin.execute(f"DROP ROLE {name}")


@pytest.fixture
def login_url(owner: Engine, names: tuple[str, str], migrated_postgres_url: str) -> str:
    """A login that has the role, and nothing else."""
    role, login = names
    harden(owner, ADA, role)
    with owner.begin() as connection:
        connection.execute(text(f"CREATE ROLE {login} LOGIN"))
        connection.execute(text(f"GRANT {role} TO {login}"))
    return migrated_postgres_url.replace("//postgres:@", f"//{login}:@")


@pytest.fixture
async def hardened(login_url: str) -> AsyncIterator[Records]:
    """The records as that login has them."""
    records = await Records.open(login_url)
    yield records
    await records.close()


async def test_a_run_and_a_decision_work_as_the_hardened_login(login_url: str, tmp_path: Path) -> None:
    """Without the right to create anything: started, approved, carried, ended, tidied up."""
    async with house_of(login_url, tmp_path, {"gated": GATED.replace("DIR", str(tmp_path))}) as house:
        run = await house.start("gated")
        await house.waiting(run, "gate")
        await house.answer(run, "approve", SAM)
        await house.over(run)

        assert house.effects() == ["acted"]
        assert await house.crew.tidy() == 0
        assert "gate.approve" in await house.actions(run)
        assert openings(house.records.engine) == ()


async def test_the_hardened_login_cannot_touch_the_log(hardened: Records, login_url: str) -> None:
    """PostgreSQL refuses before any trigger is asked, and the chain is as it was."""
    await hardened.record(make_event(actor_name="Ada", targets=("db",)))
    refused = {}
    for statement in FORBIDDEN:
        try:
            with hardened.engine.begin() as connection:
                connection.exec_driver_sql(statement)
        except DBAPIError as error:
            refused[statement] = str(error.orig)

    assert list(refused) == list(FORBIDDEN)
    assert [
        said
        for said in refused.values()
        if not re.match("permission denied|must be owner|must have CREATEROLE", said)
    ] == []
    with by_hand(login_url.replace(f"//{hardened.engine.url.username}:@", "//postgres:@")) as hand:
        assert hand.verify() == ""


async def test_a_temporary_table_does_not_stand_in_for_the_log(hardened: Records) -> None:
    """What the function writes goes to the log, whatever the session calls by its name."""
    with hardened.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TEMPORARY TABLE audit_events (LIKE public.audit_events)")
        connection.exec_driver_sql("SET LOCAL search_path = pg_temp, public")
        append(connection, make_event(object="where"))
    with hardened.engine.begin() as connection:
        counted = [
            connection.exec_driver_sql(
                f"SELECT count(*) FROM {schema}.audit_events WHERE object = 'where'"
            ).scalar()
            for schema in ("pg_temp", "public")
        ]
        connection.exec_driver_sql("DROP TABLE pg_temp.audit_events")

    assert counted == [0, 1]


def test_hardening_again_mends_what_was_changed(owner: Engine, names: tuple[str, str]) -> None:
    """Rights that somebody added are gone, those that somebody took are back; nothing else changes."""
    role, _ = names
    first = harden(owner, ADA, role)
    with owner.begin() as connection:
        connection.execute(text(f"GRANT UPDATE ON audit_events TO {role}"))
        connection.execute(text(f"GRANT UPDATE (name) ON audit_names TO {role}"))
        connection.execute(text("GRANT INSERT, DELETE ON audit_events TO PUBLIC"))
        connection.execute(text(f"GRANT CREATE ON SCHEMA public TO {role}"))
        connection.execute(text(f"REVOKE SELECT ON audit_events FROM {role}"))
    second = harden(owner, ADA, role)

    assert first == second
    assert second.faults == ()
    with owner.connect() as connection:
        assert connection.scalar(text(f"SELECT has_table_privilege('{role}', 'audit_events', 'SELECT')"))


async def test_hardening_is_an_event(owner: Engine, names: tuple[str, str]) -> None:
    """By whom, and which role."""
    harden(owner, ADA, names[0])
    records = Records(owner)
    (found,) = await records.events(Filter(action="schema.hardened"))

    assert (found.event.actor_id, found.event.object) == ("ada@bastion", names[0])


def test_a_way_around_is_named(owner: Engine, names: tuple[str, str]) -> None:
    """A login with the role that may do more, and everything by which it could."""
    role, login = names
    harden(owner, ADA, role)
    with owner.begin() as connection:
        connection.execute(text(f"CREATE ROLE {login} LOGIN CREATEROLE"))
        connection.execute(text(f"GRANT {role}, pg_write_server_files TO {login}"))
        connection.execute(text(f"GRANT DELETE ON audit_events TO {login}"))
        connection.execute(text(f"GRANT UPDATE (hash) ON audit_events TO {login}"))
    found = harden(owner, ADA, role)

    assert found.logins == (login,)
    assert [fault.split(":")[0] for fault in found.faults] == [
        f"{login} may make roles, and so make itself a member of others",
        f"{login} is a member of pg_write_server_files, and so can become anybody",
        f"{login} may UPDATE audit_events",
        f"{login} may DELETE audit_events",
    ]
    with owner.begin() as connection:
        connection.execute(text(f"ALTER ROLE {login} SUPERUSER"))
    assert harden(owner, ADA, role).faults == (f"{login} is a superuser: nothing can be kept from it",)


def test_an_owner_is_open_by_definition(owner: Engine) -> None:
    """Who asks as a superuser is told."""
    assert openings(owner) == ("postgres is a superuser: nothing can be kept from it",)


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("postgres", "postgres cannot be kept from the audit log: it is a superuser"),
        ("pg_mine", "is no name for a role"),
        ("x; DROP TABLE runs", "is no name for a role"),
        ('x" SUPERUSER --', "is no name for a role"),
        ("", "is no name for a role"),
    ],
)
def test_a_role_that_cannot_be_is_refused(owner: Engine, role: str, said: str) -> None:
    """Before anything is changed."""
    with pytest.raises(RecordsError, match=said):
        harden(owner, ADA, role)


def test_who_does_not_own_the_tables_is_told_who_does(login_url: str, names: tuple[str, str]) -> None:
    """The hardened login cannot harden."""
    engine = open_database(login_url)
    with pytest.raises(RecordsError, match="give the URL of postgres in MAINT_DATABASE_URL"):
        harden(engine, ADA, names[0])
    engine.dispose()


def test_sqlite_says_what_it_has_instead(tmp_path: Path) -> None:
    """Triggers, and nothing else: that is an error, not a success."""
    engine = open_database(f"sqlite:///{tmp_path}/maint.db")
    migrate(engine)
    with pytest.raises(RecordsError, match=r"SQLite has no roles\. Triggers refuse"):
        harden(engine, ADA)
    assert openings(engine) == ()
    engine.dispose()


def test_the_grants_name_every_table_once() -> None:
    """A table that is added gets its grants, and the page has the very statements."""
    named = [table for tables in TABLES.values() for table in tables]

    assert sorted(named) == sorted([*metadata.tables, VERSION_TABLE])
    page = (Path(__file__).parents[2] / "docs" / "database.md").read_text()
    assert "".join(f"{each};\n" for each in grants()) in page


@pytest.fixture
def aged(owner: Engine) -> None:
    """A log of old events, and their anchor, from before anything else was done."""
    fill(owner)
    anchor(owner, KEY, NOON + timedelta(days=1))


async def test_the_hardened_login_shortens_the_log_and_forgets_names_where_that_is_due(
    aged: None, hardened: Records
) -> None:
    """By functions of the owner's: what was signed off and is old, and with an event that tells of it."""
    proof = Proof(hardened, now=utc_now, key=KEY, keep=timedelta(days=60))

    removal, count = await proof.prune(ADA)
    assert removal is not None
    assert count == removal.seq == 12
    assert await proof.forget(ADA.id, ADA, "she asked") == (ADA.id, 1)
    found = await proof.verify(ADA)

    assert found.log.fits
    assert found.log.removed_up_to == 12
