"""`maint migrate`: the database brought up to date, and on request kept from changing its own audit log."""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from bot.logins import login_name
from bot.settings import load_settings
from commands.words import counted
from runbooks.records.carriage import prepare_carriage
from runbooks.records.database import open_database
from runbooks.records.hardening import Hardened, harden
from runbooks.records.migrate import migrate
from runbooks.records.person import Person


def migrate_database(
    path: Path, environ: Mapping[str, str], tell: Callable[[str], None], harden_for: str | None = None
) -> int:
    """Applies what the database lacks, makes and mends the role `harden_for`, says what was done, and returns
    the exit code. Raises MaintError."""
    loaded = load_settings(path, environ)
    engine = open_database(loaded.settings.database_url(), loaded.scrub)
    try:
        user = login_name()
        by = Person(kind="terminal", id=f"{user}@{socket.gethostname()}", name=user)
        applied = migrate(engine, by)
        prepare_carriage(engine)
        tell(f"Applied: {', '.join(applied)}" if applied else "The database is up to date.")
        if harden_for is None:
            return 0
        hardened = harden(engine, by, harden_for)
    finally:
        engine.dispose()
    _tell(hardened, tell)
    return 1 if hardened.faults else 0


def _tell(hardened: Hardened, tell: Callable[[str], None]) -> None:
    tell(
        f"The role {hardened.role} may do what Maint does: add to the audit log and read it, and not change "
        "or remove any of it."
    )
    if hardened.logins:
        tell(f"With it log in: {', '.join(hardened.logins)}.")
    else:
        tell(f"Nobody has it yet. Make a login that owns nothing, and: GRANT {hardened.role} TO your_login;")
    if hardened.faults:
        tell(f"{counted(len(hardened.faults), 'way')} around it left:")
        for fault in hardened.faults:
            tell(f"  {fault}")
