"""Whether backups can be taken, stored and proven: the programs, the login's rights, the places."""

import asyncio

from runbooks.backups.place import PlaceError
from runbooks.backups.s3 import S3Place
from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps.backup.programs import find_programs
from runbooks.steps.backup.server import connect, look_at
from runbooks.steps.backup.stores import store_of
from runbooks.steps.examined import Examined
from runbooks.steps.reach import Reach
from runbooks.steps.units import show
from runbooks.targets import BackupsTarget, PostgresTarget

#: Less room than this is worth a look, in bytes.
LITTLE = 1024**3

_RIGHTS = """
SELECT current_user, rolsuper OR rolcreatedb, rolsuper OR rolbypassrls,
       rolsuper OR EXISTS (SELECT FROM pg_roles r
                            WHERE r.rolname = 'pg_read_all_data' AND pg_has_role(r.oid, 'USAGE')),
       EXISTS (SELECT FROM pg_class WHERE relrowsecurity)
  FROM pg_roles WHERE rolname = current_user
"""


async def examine_database(target: PostgresTarget, reach: Reach) -> tuple[Examined, ...]:
    """pg_dump of its version, and what the login may. Raises StepError when it cannot be reached."""
    async with connect(target, reach, read_only=True) as connection:
        server = await look_at(connection)
        row = await (await connection.execute(_RIGHTS)).fetchone()
    assert row is not None
    login, makes, bypasses, reads, secured = row
    return (
        await _programs(target, server.major),
        _right(
            "reading everything",
            reads,
            f"{login} may read every table",
            f"{login} may not read every table, so that no backup is whole",
            f"GRANT pg_read_all_data TO {login}; before version 14 grant SELECT on each schema.",
            Status.WARNING,
        ),
        _right(
            "making databases",
            makes,
            f"{login} may make databases",
            f"{login} may make no database: nothing can be proven or restored",
            f"ALTER ROLE {login} CREATEDB",
            Status.WARNING,
        ),
        *(
            [
                _right(
                    "row-level security",
                    bypasses,
                    f"{login} sees every row",
                    f"policies hide rows from {login}, and pg_dump refuses",
                    f"ALTER ROLE {login} BYPASSRLS",
                    Status.WARNING,
                )
            ]
            if secured
            else []
        ),
    )


def _right(what: str, has: bool, well: str, found: str, do: str, status: Status) -> Examined:
    if has:
        return Examined(what=what, status=Status.OK, found=well)
    return Examined(what=what, status=status, found=found, do=do)


async def _programs(target: PostgresTarget, major: int) -> Examined:
    try:
        programs = await find_programs(target, major)
    except StepError as error:
        return Examined(
            what="pg_dump",
            status=Status.CRITICAL,
            found=str(error),
            do=f"Install postgresql-client-{major}, or set the target's `bin:`.",
        )
    return Examined(what="pg_dump", status=Status.OK, found=f"{programs.version} in {programs.dump.parent}")


async def examine_store(target: BackupsTarget, reach: Reach) -> tuple[Examined, ...]:  # noqa: ARG001 - the hook
    """Whether every place can be used, and whether backups are encrypted."""
    store = await asyncio.to_thread(store_of, target)
    found = [
        Examined(what="encryption", status=Status.OK, found=f"with the key {store.key_id}")
        if store.key
        else Examined(
            what="encryption",
            status=Status.WARNING,
            found="backups are stored in clear",
            do="Give the store a `key:` of at least 32 characters, and keep it somewhere else too.",
        )
    ]
    try:
        free = await asyncio.to_thread(store.staging.free)
        found.append(
            Examined(
                what="room",
                status=Status.OK if free >= LITTLE else Status.WARNING,
                found=f"{store.staging.folder} has {show(free, 'bytes')} free",
                do="" if free >= LITTLE else "Make room, or name another `staging:`.",
            )
        )
    except PlaceError as error:
        do = "Let the user that runs Maint write there."
        found.append(Examined(what="folder", status=Status.CRITICAL, found=str(error), do=do))
    buckets = [place for place in store.places if isinstance(place, S3Place)]
    return (*found, *[await asyncio.to_thread(_bucket, place) for place in buckets])


def _bucket(place: S3Place) -> Examined:
    try:
        place.ask()
    except PlaceError as error:
        do = "Look at the address, the bucket's name and the credentials in maint.yaml."
        return Examined(what="bucket", status=Status.CRITICAL, found=str(error), do=do)
    return Examined(what="bucket", status=Status.OK, found=f"{place.where('')} answers")
