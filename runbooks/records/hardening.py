"""The role of Maint's login on PostgreSQL: it may add to the audit log, and change or remove nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, text

from runbooks.errors import RecordsError
from runbooks.records.audit import Outcome, append, done_by
from runbooks.records.carriage import SCHEMA as CARRIAGE
from runbooks.records.database import reading
from runbooks.records.grants import ROLE, grants, revocations
from runbooks.records.migrate import lock_schema
from runbooks.records.person import Person
from runbooks.records.trouble import plain_errors, where

_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
#: What the tables of the log are never open to. Events are added by a function, which chains them.
_FORBIDDEN = {
    "audit_events": ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER"),
    "audit_names": ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER"),
    "audit_targets": ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER"),
    "audit_checkpoints": ("UPDATE", "DELETE", "TRUNCATE", "TRIGGER"),
}
_BY_COLUMN = ("INSERT", "UPDATE")
#: Roles of PostgreSQL whose members can become anybody.
_ALMIGHTY = ("pg_execute_server_program", "pg_write_server_files")

_ROLE = text(
    "SELECT r.rolsuper, r.rolcreaterole, pg_has_role(r.oid, c.relowner, 'MEMBER') AS owns, "
    "current_schema() AS schema, pg_get_userbyid(c.relowner) AS owner "
    "FROM pg_roles r, pg_class c WHERE r.rolname = :role AND c.oid = to_regclass('audit_events')"
)
_MEMBERS = text(
    "SELECT m.rolname FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member "
    "JOIN pg_roles g ON g.oid = a.roleid WHERE g.rolname = :role ORDER BY m.rolname"
)
_MAY = {
    False: text("SELECT has_table_privilege(:role, to_regclass(:table), :privilege)"),
    True: text("SELECT has_any_column_privilege(:role, to_regclass(:table), :privilege)"),
}
_MAY_CREATE = text(
    "SELECT has_schema_privilege(:role, oid, 'CREATE') FROM pg_namespace WHERE nspname = :schema"
)


@dataclass(frozen=True, kw_only=True)
class Hardened:
    """How it stands. `logins`: who is a member of the role; `faults`: what is still open, and for whom."""

    role: str
    logins: tuple[str, ...]
    faults: tuple[str, ...]


def harden(engine: Engine, by: Person, role: str = ROLE) -> Hardened:
    """Makes the role, if there is none, and grants it what Maint needs and nothing else; doing it again mends
    what was changed since. An audit event says so. The tables must be there, DBOS's too.

    Raises RecordsError: on SQLite, for a name that is none, and when this login may not do that.
    """
    if engine.dialect.name != "postgresql":
        raise RecordsError(
            f"{where(engine.url)} cannot be hardened: SQLite has no roles. Triggers refuse to change the "
            "audit log, and who may write the file can remove them: allow it to Maint's user only."
        )
    if not _NAME.fullmatch(role):
        raise RecordsError(f"{role[:80]!r} is no name for a role: small letters, digits and _, as {ROLE}.")
    with plain_errors(engine.url), engine.begin() as connection:
        lock_schema(connection)
        login = str(connection.scalar(text("SELECT current_user")))
        owner = _about(connection, login)
        if owner is None or not owner.owns:
            raise RecordsError(
                f"Only who owns the tables can harden {where(engine.url)}: give the URL of "
                f"{owner.owner if owner else 'their owner'} in MAINT_DATABASE_URL. This login is {login}."
            )
        _make(connection, role, owner)
        for statement in (*revocations(role, owner.schema), *grants(role, owner.schema)):
            connection.exec_driver_sql(statement)
        _close_schema(connection, owner.schema)
        append(
            connection,
            done_by(by, "schema.hardened", Outcome.OK, object=role, details={"owner": owner.owner}),
        )
        logins = tuple(connection.scalars(_MEMBERS, {"role": role}))
        faults = tuple(fault for who in (role, *logins) for fault in _openings(connection, who))
        return Hardened(role=role, logins=logins, faults=faults)


def openings(engine: Engine) -> tuple[str, ...]:
    """By what the present login could change the audit log, for people; none on a hardened PostgreSQL.

    Raises RecordsError when the database does not answer.
    """
    if engine.dialect.name != "postgresql":
        return ()
    with plain_errors(engine.url), reading(engine) as connection:
        return tuple(_openings(connection, str(connection.scalar(text("SELECT current_user")))))


def _about(connection: Connection, role: str) -> Row[tuple[object, ...]] | None:
    return connection.execute(_ROLE, {"role": role}).first()


def _make(connection: Connection, role: str, owner: Row[tuple[object, ...]]) -> None:
    found = _about(connection, role)
    if found is None:
        if not (owner.rolsuper or owner.rolcreaterole):
            raise RecordsError(
                f"There is no role {role}, and this login may not make one. Have a superuser do "
                f"`CREATE ROLE {role} NOLOGIN`, and harden again."
            )
        connection.exec_driver_sql(f"CREATE ROLE {role} NOLOGIN")
    elif found.rolsuper or found.owns:
        what = "is a superuser" if found.rolsuper else f"owns the tables, or is a member of {found.owner}"
        raise RecordsError(f"{role} cannot be kept from the audit log: it {what}. Name another --role.")


def _close_schema(connection: Connection, schema: str) -> None:
    """Takes from everybody the right to make things beside the tables, which PostgreSQL before 15 gives.
    Where the schema is somebody else's, `_openings` says what is left."""
    may = connection.scalar(
        text(
            "SELECT has_schema_privilege('public', n.oid, 'CREATE') AND pg_has_role(n.nspowner, 'USAGE') "
            "FROM pg_namespace n WHERE n.nspname = :schema"
        ),
        {"schema": schema},
    )
    if may:
        quoted = connection.dialect.identifier_preparer.quote(schema)
        connection.exec_driver_sql(f"REVOKE CREATE ON SCHEMA {quoted} FROM PUBLIC")


def _openings(connection: Connection, role: str) -> Iterator[str]:
    about = _about(connection, role)
    if about is None:
        return
    if about.rolsuper:
        yield f"{role} is a superuser: nothing can be kept from it"
        return
    if about.owns:
        yield f"{role} owns the audit log, or is a member of {about.owner}, and can remove its triggers"
        return
    if about.rolcreaterole:
        yield f"{role} may make roles, and so make itself a member of others: ALTER ROLE {role} NOCREATEROLE"
    for mighty in _ALMIGHTY:
        if connection.scalar(text("SELECT pg_has_role(:role, :of, 'MEMBER')"), {"role": role, "of": mighty}):
            yield f"{role} is a member of {mighty}, and so can become anybody: REVOKE {mighty} FROM {role}"
    for table, privileges in _FORBIDDEN.items():
        for privilege in privileges:
            asked = {"role": role, "table": table, "privilege": privilege}
            if connection.scalar(_MAY[privilege in _BY_COLUMN], asked):
                yield f"{role} may {privilege} {table}: REVOKE {privilege} ON {table} FROM {role}"
    for schema in (about.schema, CARRIAGE):
        if connection.scalar(_MAY_CREATE, {"role": role, "schema": schema}):
            yield f"{role} may make things in {schema}: REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {role}"
