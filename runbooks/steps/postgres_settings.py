"""`postgres.settings`: how a server's settings differ from what is wanted, and which wait for a restart."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, LiteralString

from pydantic import BeforeValidator, Field, model_validator

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps.postgres_conf import SECRET, Conf, read_conf, same, spoken
from runbooks.steps.postgres_session import Session, session_of
from runbooks.steps.reach import Reach
from runbooks.steps.step import Check, Measured, Output
from runbooks.steps.wanted_file import WantedPath, read_wanted
from runbooks.targets import PostgresTarget
from runbooks.visible import one_line

#: Characters of a value that are shown.
LONGEST_VALUE = 100


def _text(value: Any) -> Any:
    # In YAML `on` is text, 10 a number and `true` a switch; a setting is always text.
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if isinstance(value, int | float) else value


SettingName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$", max_length=100)]
SettingValue = Annotated[
    str, BeforeValidator(_text, json_schema_input_type=str | int | float | bool), Field(max_length=2000)
]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting as the server has it. `source`: where it is from, in the server's words."""

    name: str
    value: str
    unit: str | None
    type: str
    context: str
    source: str
    file: str | None
    pending: bool

    @property
    def shown(self) -> str:
        """For people."""
        return show_value(self.name, spoken(self.value, self.unit))


SETTINGS: LiteralString = """
SELECT name::text, setting::text AS value, unit::text, vartype::text AS type, context::text,
       source::text, sourcefile::text AS file, pending_restart AS pending
  FROM pg_settings
"""


def show_value(name: str, value: str) -> str:
    """The value, unless there may be a secret in it."""
    return "(not shown)" if name in SECRET else one_line(value, LONGEST_VALUE) or "(empty)"


async def settings_of(session: Session) -> dict[str, Setting]:
    """Every setting that the login sees, by its name in small letters."""
    return {each.name.lower(): each for each in await session.fetch(Setting, SETTINGS)}


class PostgresSettings(Check[PostgresTarget]):
    """Which settings are not as they are wanted, by a file or the runbook, and which wait for a restart."""

    kind: ClassVar[str] = "postgres.settings"
    title: ClassVar[str] = "PostgreSQL settings"
    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    outputs: ClassVar[dict[str, Output]] = {
        "different": Output(title="settings that differ"),
        "unlisted": Output(title="settings that were changed, and are not in the file"),
        "pending_restart": Output(title="settings that wait for a restart"),
        "unknown": Output(title="settings that the server does not know, or not show"),
    }
    headline: ClassVar[str] = "different"
    lists: ClassVar[bool] = True

    file: WantedPath | None = None
    settings: dict[SettingName, SettingValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_something(self) -> "PostgresSettings":
        if self.file is not None and self.settings:
            raise ValueError("`file:` or `settings:` says what is wanted, not both")
        return self

    async def measure(self, target: PostgresTarget, reach: Reach) -> Measured:
        """A warning by itself: the file is not as it was committed, or has lines that cannot be read."""
        conf, version, findings = await self._wanted()
        session = await session_of(target, reach)
        found = await settings_of(session)
        login = await session.sight()
        different = [
            f"{name}: {found[name].shown}, wanted {show_value(name, wanted)}"
            for name, wanted in sorted(conf.settings.items())
            if name in found and not same(wanted, found[name].value, found[name].unit, found[name].type)
        ]
        missing = sorted(name for name in conf.settings if name not in found)
        unlisted = sorted(
            f"{each.name}: {each.shown}, by {_place(each)}"
            for name, each in found.items()
            if self.file is not None and name not in conf.settings and _is_changed(each)
        )
        pending = sorted(each.name for each in found.values() if each.pending)
        words = [f"from {version}"] if version else []
        words += [f"{len(unlisted)} not in it"] if unlisted else []
        words += [f"{len(pending)} wait for a restart"] if pending else []
        return Measured(
            values={
                "different": len(different),
                "unlisted": len(unlisted),
                "pending_restart": len(pending),
                "unknown": len(missing),
            },
            summary=", ".join(words),
            findings=tuple((Status.WARNING, finding) for finding in findings),
            details=(
                *different,
                *(f"not in the file: {line}" for line in unlisted),
                *(f"waits for a restart: {name}" for name in pending),
                *(f"not known there, or not shown to {login.login}: {one_line(name)}" for name in missing),
            ),
        )

    async def _wanted(self) -> tuple[Conf, str, list[str]]:
        if self.file is None:
            return Conf({name.lower(): value for name, value in self.settings.items()}, ()), "", []
        file = await read_wanted(self.file)
        conf = read_conf(file.text)
        if not conf.settings and conf.faults:
            raise StepError(f"{file.version}: {'; '.join(conf.faults[:3])}")
        findings = [f"{file.version}: {fault}" for fault in conf.faults[:5]]
        if file.changed:
            findings.append(f"{file.version} has changes that are not committed")
        return conf, file.version, findings


def _is_changed(setting: Setting) -> bool:
    """Whether somebody set it for the whole server; what the server finds out by itself is no change."""
    return setting.source in ("configuration file", "command line", "environment variable") and (
        setting.context != "internal"
    )


def _place(setting: Setting) -> str:
    if setting.file and setting.file.endswith("/postgresql.auto.conf"):
        return "ALTER SYSTEM"
    return setting.source
