"""`postgres.set`: changes settings of a whole server, sees that they hold, puts them back if they hurt."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, LiteralString

from psycopg import sql
from pydantic import Field, field_validator

from runbooks.errors import StepError
from runbooks.spec.model import Duration, parse_duration, show_duration, up_to
from runbooks.status import Status
from runbooks.steps.action import Call, Done, Doubtful, Failed, Preview, Risk
from runbooks.steps.inline_checks import InlineCheck, NamedCheck, check_lines, demand_targets
from runbooks.steps.judge import judge
from runbooks.steps.postgres_conf import SECRET, same
from runbooks.steps.postgres_maintain import PostgresAction
from runbooks.steps.postgres_session import session_of
from runbooks.steps.postgres_settings import (
    SETTINGS,
    Setting,
    SettingName,
    SettingValue,
    settings_of,
    show_value,
)
from runbooks.steps.postgres_work import Work, login_of, working
from runbooks.steps.reach import Reach
from runbooks.steps.step import EVERY, Output
from runbooks.targets import PostgresTarget, TargetBase
from runbooks.visible import one_line

#: Settings whose value is a list: each item is quoted by itself.
_LISTS = frozenset(
    (
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    )
)
#: Looks at whether the server has read its files again, and seconds between them.
LOOKS, BETWEEN_LOOKS = 25, 0.2
#: Seconds for putting everything back, whatever else happens.
PUTTING_BACK = 10.0
#: What sessions of one login or database are given instead: it says nothing about the server's value.
_OWN = ("user", "database", "database user", "client", "session")


@dataclass(frozen=True, kw_only=True)
class _Kept:
    name: str
    value: str | None


# What ALTER SYSTEM wrote before, if it did. The file itself is for superusers; of a setting that is in force
# pg_settings says as much.
_IN_FILE: LiteralString = """
SELECT name::text, setting::text AS value FROM pg_file_settings
 WHERE name = ANY(%(names)s) AND sourcefile LIKE '%%/postgresql.auto.conf' ORDER BY seqno
"""
_IN_FORCE: LiteralString = """
SELECT name::text, (setting || coalesce(CASE WHEN unit ~ '^[0-9]' THEN '' ELSE unit END, ''))::text AS value
  FROM pg_settings
 WHERE name = ANY(%(names)s) AND sourcefile LIKE '%%/postgresql.auto.conf'
"""


@dataclass(frozen=True, kw_only=True)
class _May:
    reads_file: bool
    reloads: bool


_MAY: LiteralString = """
SELECT has_table_privilege('pg_file_settings', 'SELECT')
       AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE') AS reads_file,
       has_function_privilege('pg_reload_conf()', 'EXECUTE') AS reloads
"""


@dataclass(frozen=True, kw_only=True)
class _Allowed:
    name: str
    allowed: bool


class PostgresSet(PostgresAction):
    """ALTER SYSTEM and a reload. `undo` puts back what ALTER SYSTEM had written before, or takes it away."""

    kind: ClassVar[str] = "postgres.set"
    title: ClassVar[str] = "Change settings (ALTER SYSTEM)"
    risk: ClassVar[Risk] = Risk.MEDIUM
    reversible: ClassVar[bool] = True
    outputs: ClassVar[dict[str, Output]] = {
        "changed": Output(title="settings changed"),
        "pending_restart": Output(title="of them wait for a restart"),
    }

    settings: dict[SettingName, SettingValue] = Field(min_length=1, max_length=50)
    checks: tuple[InlineCheck, ...] = Field(default=(), strict=False, max_length=20)
    watch: Annotated[Duration, up_to("1h")] = parse_duration("10s")
    every: Annotated[Duration, up_to("10m")] = parse_duration("5s")

    @classmethod
    async def lacks(cls, target: PostgresTarget, reach: Reach) -> tuple[str, ...]:
        """The right to have the settings read again; which settings it may change depends on the step."""
        session = await session_of(target, reach)
        login = await login_of(session)
        (may,) = await session.fetch(_May, _MAY)
        if login.superuser or may.reloads:
            return ()
        return (f"GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {login.name}",)

    @field_validator("settings")
    @classmethod
    def _no_secrets(cls, settings: dict[str, str]) -> dict[str, str]:
        if hidden := sorted(SECRET.intersection(name.lower() for name in settings)):
            raise ValueError(f"{', '.join(hidden)} may hold a secret, which would be kept for the way back")
        return settings

    def lines(self, target: PostgresTarget) -> tuple[str, ...]:
        """The settings, and how they are looked at."""
        return (
            f"ALTER SYSTEM on {target.where()}, for every database of that server",
            *(f"{name} = {show_value(name, value)}" for name, value in self.settings.items()),
            *(
                (
                    f"watched for {show_duration(self.watch)}, and put back when a check fails",
                    *check_lines(self.checks),
                )
                if self.checks
                else ()
            ),
        )

    def plan_warnings(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:
        """Nothing; raises StepError when a check has nothing to look at."""
        demand_targets(self.checks, targets)
        return ()

    async def foresee(self, target: PostgresTarget, reach: Reach) -> Preview:
        """What is in force now."""
        found = await settings_of(await session_of(target, reach))
        lines = []
        for name, wanted in self.settings.items():
            setting = found.get(name.lower())
            if setting is None:
                lines.append(f"{name}: unknown to the server, or not shown to the login")
                continue
            waits = ", waits for a restart" if setting.context == "postmaster" else ""
            lines.append(f"{name} is {setting.shown} now, wanted {show_value(name, wanted)}{waits}")
        return Preview(lines=tuple(lines))

    async def record(self, target: PostgresTarget, call: Call) -> Mapping[str, Any]:
        """What ALTER SYSTEM has written of these settings; None for one that it has not."""
        async with self.working(target, call) as work:
            return {"settings": await self._written(work)}

    async def _written(self, work: Work) -> dict[str, str | None]:
        names = [name.lower() for name in self.settings]
        (may,) = await work.fetch(_May, _MAY)
        query = _IN_FILE if may.reads_file else _IN_FORCE
        found = {each.name.lower(): each.value for each in await work.fetch(_Kept, query, {"names": names})}
        return {name: found.get(name) for name in names}

    async def act(self, target: PostgresTarget, call: Call) -> Done:
        """Sets them, and looks. Raises StepError when they do not hold or a check fails: then they are put
        back already."""
        before = (call.before or await self.record(target, call))["settings"]
        async with self.working(target, call) as work:
            found = await self._found(work)
            await self._demand_allowed(work, target, found)
            wanted = {name.lower(): value for name, value in self.settings.items()}
            pending = await self._or_back(
                target, call, before, lambda: self._set_and_look(work, target, call, wanted)
            )
        changed = sum(
            not same(value, found[name].value, found[name].unit, found[name].type)
            for name, value in wanted.items()
        )
        return Done(
            values={"changed": changed, "pending_restart": len(pending)},
            summary=", ".join(
                f"{name} {found[name].shown} → {show_value(name, value)}" for name, value in wanted.items()
            ),
            warnings=tuple(f"{name} waits for a restart of the server" for name in pending),
        )

    async def _or_back(
        self,
        target: PostgresTarget,
        call: Call,
        before: Mapping[str, str | None],
        do: Callable[[], Awaitable[list[str]]],
    ) -> list[str]:
        """What `do` returns; when it does not, everything is as before."""
        try:
            return await do()
        except (StepError, asyncio.CancelledError) as error:
            back = asyncio.ensure_future(self._put_back(target, call, before))
            try:
                await asyncio.shield(back)
            except asyncio.CancelledError:
                await back
                raise
            except StepError as worse:
                raise Doubtful(f"{error}; and it could not be put back: {worse}") from error
            if isinstance(error, StepError):
                raise Failed(f"{error}. Everything was put back as it was") from error
            raise

    async def _set_and_look(
        self, work: Work, target: PostgresTarget, call: Call, wanted: Mapping[str, str]
    ) -> list[str]:
        """The settings that wait for a restart."""
        for name, value in wanted.items():
            await work.run(_set(name, value), f"ALTER SYSTEM SET {name}")
        await work.run("SELECT pg_reload_conf()", "reloading the settings")
        pending = await self._verified(target, call, wanted)
        if self.checks:
            await self._watched(call)
        return pending

    async def _verified(self, target: PostgresTarget, call: Call, wanted: Mapping[str, str]) -> list[str]:
        """Looks in new sessions until all of them have what is wanted; what waits for a restart."""
        wrong: list[str] = []
        for _ in range(LOOKS):
            async with working(target, call, seconds=self.seconds) as fresh:
                found = await self._found(fresh)
            settled = [name for name in wanted if found[name].pending or found[name].source in _OWN]
            wrong = [
                name
                for name, value in wanted.items()
                if name not in settled
                and not same(value, found[name].value, found[name].unit, found[name].type)
            ]
            if not wrong:
                return sorted(name for name in settled if found[name].pending)
            await asyncio.sleep(BETWEEN_LOOKS)
        said = ", ".join(f"{name} is {found[name].shown}" for name in wrong)
        raise StepError(f"a new session on {target.where()} does not have what was set: {said}")

    async def _watched(self, call: Call) -> None:
        """Makes the checks for that long. Raises StepError when one is not well: unknown is not OK."""
        clock = asyncio.get_running_loop().time
        ends = clock() + min(self.watch.total_seconds(), self.seconds / 2)
        while True:
            for named in self.checks:
                await self._check(named, call)
            left = ends - clock()
            if left <= 0:
                return
            call.tell(f"it holds; watched for another {left:.0f} s")
            await asyncio.sleep(min(self.every.total_seconds(), left))

    async def _check(self, named: NamedCheck, call: Call) -> None:
        check = named.check
        names = sorted(call.targets) if check.target == EVERY else [check.target]
        reach = Reach(targets=call.targets, connections=call.connections, now=call.now, memory=call.memory)
        for name in names:
            looked_at = call.targets.get(name)
            if not isinstance(looked_at, check.needs) or not check.applies_to(looked_at):
                continue
            try:
                async with asyncio.timeout(check.timeout.total_seconds()):
                    verdict = judge(check, await check.measure(looked_at, reach))
            except TimeoutError as error:
                raise StepError(f"{named.name} of {name} did not answer in time") from error
            if verdict.status in (Status.CRITICAL, Status.UNKNOWN):
                raise StepError(f"{named.name} of {name}: {'; '.join(verdict.reasons)}")

    async def undo(self, target: PostgresTarget, call: Call) -> Done:
        """Puts back what ALTER SYSTEM had written before."""
        before: Mapping[str, str | None] = call.before["settings"]
        await self._put_back(target, call, before)
        return Done(summary=", ".join(f"{name} {_spoken(value)}" for name, value in before.items()))

    async def changed_since(
        self, target: PostgresTarget, call: Call, after: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Which of these settings somebody wrote since."""
        now = (await self.record(target, call))["settings"]
        return tuple(
            f"{name} of {target.where()} was set to {_spoken(now[name])} since"
            for name, value in after["settings"].items()
            if now[name] != value
        )

    async def _put_back(self, target: PostgresTarget, call: Call, before: Mapping[str, str | None]) -> None:
        async with working(target, call, seconds=PUTTING_BACK) as work:
            for name, value in before.items():
                statement = _set(name, value) if value is not None else _reset(name)
                await work.run(statement, f"putting back {name}")
            await work.run("SELECT pg_reload_conf()", "reloading the settings")

    async def _found(self, work: Work) -> dict[str, Setting]:
        """The settings as that session has them, by their names in small letters. Raises StepError."""
        names = [name.lower() for name in self.settings]
        query: LiteralString = SETTINGS + " WHERE lower(name) = ANY(%(names)s)"
        found = {each.name.lower(): each for each in await work.fetch(Setting, query, {"names": names})}
        if missing := [name for name in names if name not in found]:
            raise StepError(
                f"the server has no setting {', '.join(missing)}, or does not show it to the login"
            )
        return found

    async def _demand_allowed(self, work: Work, target: PostgresTarget, found: Mapping[str, Setting]) -> None:
        login = await login_of(work)
        if login.superuser:
            return
        where = target.where()
        if work.version_number < 150000:
            raise StepError(
                f"ALTER SYSTEM on {where} is for superusers until PostgreSQL 15, and {login.name} is none"
            )
        allowed = await work.fetch(
            _Allowed,
            "SELECT name, has_parameter_privilege(name, 'ALTER SYSTEM') AS allowed"
            " FROM unnest(%(names)s::text[]) AS name",
            {"names": list(found)},
        )
        if lacking := [each.name for each in allowed if not each.allowed]:
            names = ", ".join(lacking)
            raise StepError(
                f"{login.name} may not set {names} of {where}: "
                f"GRANT ALTER SYSTEM ON PARAMETER {names} TO {login.name}"
            )
        (may,) = await work.fetch(_May, _MAY)
        if not may.reloads:
            raise StepError(
                f"{login.name} may not have {where} read its settings again: "
                f"GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {login.name}"
            )


def _identifier(name: str) -> sql.Identifier | sql.Composed:
    return sql.SQL(".").join([sql.Identifier(part) for part in name.split(".")])


def _set(name: str, value: str) -> sql.Composed:
    items = [item.strip().strip('"') for item in value.split(",")] if name in _LISTS else [value]
    listed = sql.SQL(", ").join([sql.Literal(item) for item in items])
    return sql.SQL("ALTER SYSTEM SET {} = {}").format(_identifier(name), listed)


def _reset(name: str) -> sql.Composed:
    return sql.SQL("ALTER SYSTEM RESET {}").format(_identifier(name))


def _spoken(value: str | None) -> str:
    return "as its file says" if value is None else one_line(value)
