"""maint.yaml and the environment, as frozen Settings; all faults at once, before anything starts."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, SecretStr, field_validator

from bot.alert_settings import AlertSettings
from bot.audit_settings import Audit
from bot.consistency import (
    channelless_reports,
    inconsistencies,
    unknown_names,
    unknown_remedies,
    where_there_are_channels,
)
from bot.credentials import (
    SlackCredentials,
    audit_key,
    old_secret_keys,
    secret_key,
    slack_credentials,
    slack_secrets,
)
from bot.dead_man import Heartbeat, heartbeat_secrets
from bot.escalation_settings import (
    EscalationSettings,
    escalation_faults,
    unknown_callees,
    unknown_policies,
)
from bot.hook_settings import Hooks, hook_faults
from bot.satisfiable import stuck_gates, stuck_grants
from bot.schedule_settings import RunbookTimes, schedules_faults, timed
from bot.trend_settings import TrendSettings
from commands import GRANTABLE
from runbooks.access import Grant, Role, TerminalGrant
from runbooks.access.grants import Permission
from runbooks.errors import ConfigError, Fault
from runbooks.proof.signing import SigningKey
from runbooks.scrub import Scrubber
from runbooks.spec.library import SHIPPED, load_library
from runbooks.spec.model import Name, Spec
from runbooks.spec.runbook import Kinds, Runbook
from runbooks.spec.source import Document, read
from runbooks.spec.validate import validate
from runbooks.steps import KINDS
from runbooks.targets import TARGET_TYPES, Target, TargetBase, postgres_url, secrets_in
from runbooks.watch.rotations import Rotation

__all__ = ["Loaded", "Settings", "SlackCredentials", "load_settings", "slack_credentials"]

#: Replaces `database:`, for containers whose settings file is the same everywhere.
DATABASE_VARIABLE = "MAINT_DATABASE_URL"

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


def _channel_id(value: str) -> str:
    if not re.fullmatch(r"[CG][A-Z0-9]+", value):
        raise ValueError(
            "a channel's id looks like C0123ABCD: it is at the end of the channel's details in Slack"
        )
    return value


def _team_id(value: str) -> str:
    if not re.fullmatch(r"[TE][A-Z0-9]+", value):
        raise ValueError("a workspace's id looks like T0123ABCD: it is in the address of Slack in a browser")
    return value


def _login(value: str) -> str:
    if not re.fullmatch(r"[^\s@]+@[^\s@]+", value):
        raise ValueError("a login is user@host, as `maint whoami` shows it at that terminal")
    return value


def _user_id(value: str) -> str:
    if not re.fullmatch(r"[UW][A-Z0-9]+", value):
        raise ValueError(
            "a user's id looks like U0123ABCD: it is in their Slack profile under Copy member ID"
        )
    return value


def _database(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url.startswith(_POSTGRES):
        return postgres_url(value)
    if not url.startswith(_SQLITE):
        raise ValueError("the address looks like sqlite:///maint.db or postgresql://user@host:5432/maint")
    if url == _SQLITE or ":memory:" in url:
        raise ValueError("a database in memory forgets every record: name a file, like sqlite:///maint.db")
    if "?" in url:
        raise ValueError("options after a ? are not read in the address of a SQLite file")
    return value


class Slack(Spec):
    """How Slack is reached; its tokens come from the environment only."""

    mode: Literal["socket", "http"] = "socket"
    teams: tuple[Annotated[str, AfterValidator(_team_id)], ...] = Field(default=(), strict=False)
    connections: int = Field(default=2, ge=1, le=10)
    channels: dict[Name, Annotated[str, AfterValidator(_channel_id)]] = Field(default_factory=dict)


class Http(Spec):
    """Where the HTTP server listens. Port 0 is any free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=0, le=65535)


class Log(Spec):
    """How the log is written; `auto` is `console` at a terminal and `json` elsewhere."""

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Checks(Spec):
    """How many checks run at the same time, in all and on one target."""

    concurrency: int = Field(default=50, ge=1, le=1000)
    per_target: int = Field(default=4, ge=1, le=100)


class UserLimits(Spec):
    """What one person may ask for."""

    commands_per_minute: int = Field(default=30, ge=1)


class Settings(Spec):
    """maint.yaml. Its paths are absolute once it is loaded."""

    slack: Slack = Slack()
    database: Annotated[SecretStr, AfterValidator(_database)] = SecretStr("sqlite:///maint.db")
    http: Http | None = None
    runbooks: str | None = None
    log: Log = Log()
    checks: Checks = Checks()
    limits: UserLimits = UserLimits()
    audit: Audit = Audit()
    alerts: AlertSettings = AlertSettings()
    escalation: EscalationSettings = EscalationSettings()
    rotations: dict[Name, Rotation] = Field(default_factory=dict)
    hooks: Hooks = Field(default_factory=dict)
    heartbeat: Heartbeat | None = None
    trends: TrendSettings = TrendSettings()
    roles: dict[Name, Role] = Field(default_factory=dict)
    grants: tuple[Grant, ...] = Field(default=(), strict=False)
    schedules: dict[Name, RunbookTimes] = Field(default_factory=dict)
    terminal: tuple[TerminalGrant, ...] | None = Field(default=None, strict=False)
    logins: dict[Annotated[str, AfterValidator(_login)], Annotated[str, AfterValidator(_user_id)]] = Field(
        default_factory=dict
    )
    targets: dict[Name, Target] = Field(default_factory=dict)

    @field_validator("targets")
    @classmethod
    def _fill_names(cls, targets: dict[str, Target]) -> dict[str, Target]:
        return {name: target.model_copy(update={"name": name}) for name, target in targets.items()}

    def database_url(self) -> str:
        """The database's address, with its password."""
        return self.database.get_secret_value()

    def http_address(self) -> Http:
        """Where to listen, when somebody has to."""
        return self.http or Http()


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What the files and the environment say, and a scrubber that knows every secret in them.

    `path` is that of maint.yaml, `digest` the sha256 of its bytes. `unfit`: shipped runbooks that cannot be
    run with these settings, and what they lack.
    """

    settings: Settings
    runbooks: Mapping[str, Runbook]
    scrub: Scrubber
    path: str
    digest: str
    unfit: Mapping[str, str] = field(default_factory=dict)
    secret_key: SecretStr = field(
        default_factory=lambda: SecretStr("")
    )  # encrypts the secret parameters of runs that wait
    old_secret_keys: tuple[SecretStr, ...] = ()  # open what they encrypted before
    owner: int = -1  # the uid of maint.yaml's owner; -1 is nobody
    audit_key: SigningKey | None = None  # signs the checkpoints of the audit log


def load_settings(
    path: Path,
    environ: Mapping[str, str],
    *,
    commands: Collection[str] = GRANTABLE,
    kinds: Kinds = KINDS,
    library: Path = SHIPPED,
) -> Loaded:
    """Reads maint.yaml and every runbook; raises ConfigError with all their faults. Blocks."""
    owner = -1
    try:
        owner = path.stat().st_uid
    except FileNotFoundError:
        message = f"there is no {path.name} here"
        raise ConfigError([Fault(str(path), 0, 0, message, "`maint init` writes one")]) from None
    except OSError:
        pass  # reading it says what it is
    document = read(path, environ)
    settings, wrong = validate(document, Settings)
    faults = [*document.faults, *wrong]
    runbooks: Mapping[str, Runbook] | None = None
    own = _own_runbooks(document, path)
    if own is not None and not own.is_dir():
        faults.append(document.fault(("runbooks",), f"there is no folder {own}"))
    try:
        runbooks = load_library(own, _target_types(document), kinds=kinds, shipped=library)
    except ConfigError as error:
        faults += error.faults
    faults += inconsistencies(document, commands, runbooks)
    faults += stuck_grants(document)
    if settings is not None:
        known = (settings.rotations, settings.roles, settings.slack.channels)
        faults += escalation_faults(document, settings.escalation, *known)
        listens = settings.http is not None or settings.slack.mode == "http"
        faults += hook_faults(document, settings.hooks, settings.slack.channels, listens=listens)
    unfit: dict[str, str] = {}
    if runbooks is not None:
        shipped = {name for name, each in runbooks.items() if Path(each.path).is_relative_to(library)}
        for name in shipped:
            runbooks = {**runbooks, name: where_there_are_channels(document, runbooks[name])}
    for runbook in (runbooks or {}).values():
        missing = [*unknown_names(document, runbook), *stuck_gates(document, runbook)]
        missing += [*unknown_remedies(runbook, runbooks or ()), *channelless_reports(runbook)]
        if settings is not None:
            missing += unknown_policies(settings.escalation, runbook)
            missing += unknown_callees(settings.rotations, settings.roles, runbook)
        if not Path(runbook.path).is_relative_to(library):
            faults += missing
        elif missing:
            # A team that has no such role or channel uses the rest of what ships.
            said = dict.fromkeys(f"{fault.message}: {fault.hint}" for fault in missing)
            unfit[runbook.name] = "; ".join(said)
    if runbooks is not None:
        there = settings.targets if settings is not None else None
        faults += schedules_faults(document, runbooks, there, unfit)
        runbooks = timed(document, runbooks)
    override = environ.get(DATABASE_VARIABLE)
    if override:
        try:
            _database(SecretStr(override))
        except ValueError as error:
            faults.append(Fault(DATABASE_VARIABLE, 0, 0, str(error)))
    if faults:
        raise ConfigError(faults)
    assert settings is not None  # or there would be faults
    assert runbooks is not None
    at_terminal = settings.terminal
    database = _absolute(override or settings.database_url(), path)
    settings = settings.model_copy(
        update={
            "database": SecretStr(database),
            "runbooks": str(own) if own else None,
            "grants": _placed(document, "grants", settings.grants),
            "terminal": at_terminal if at_terminal is None else _placed(document, "terminal", at_terminal),
            "audit": _audit_beside(path, settings.audit),
            "targets": {
                name: target.rooted(path.parent.absolute()) for name, target in settings.targets.items()
            },
        }
    )
    secrets = [*document.secrets, *slack_secrets(environ), *_secrets(settings)]
    key, old_keys = secret_key(environ), old_secret_keys(environ)
    signing, signing_text = audit_key(environ)
    never_shown = [each.get_secret_value() for each in (key, *old_keys, signing_text)]
    return Loaded(
        settings=settings,
        runbooks=runbooks,
        scrub=Scrubber([*secrets, *never_shown]),
        path=document.path,
        digest=document.digest,
        unfit=unfit,
        secret_key=key,
        audit_key=signing,
        old_secret_keys=old_keys,
        owner=owner,
    )


PermissionT = TypeVar("PermissionT", bound=Permission)


def _placed(document: Document, key: str, grants: tuple[PermissionT, ...]) -> tuple[PermissionT, ...]:
    """The grants with where each is written: `maint.yaml:12`."""
    name = Path(document.path).name
    return tuple(
        grant.model_copy(update={"written_at": f"{name}:{document.mark((key, index)).line}"})
        for index, grant in enumerate(grants)
    )


def _own_runbooks(document: Document, path: Path) -> Path | None:
    folder = document.get(("runbooks",))
    return _beside(path, folder) if isinstance(folder, str) else None


def _beside(path: Path, name: str) -> Path:
    try:
        named = Path(name).expanduser()
    except RuntimeError:  # ~somebody who does not exist
        named = Path(name)
    return path.parent.absolute() / named


def _audit_beside(path: Path, audit: Audit) -> Audit:
    if audit.anchors.file is None:
        return audit
    anchors = audit.anchors.model_copy(update={"file": str(_beside(path, audit.anchors.file))})
    return audit.model_copy(update={"anchors": anchors})


def _target_types(document: Document) -> dict[str, type[TargetBase] | None]:
    targets = document.get(("targets",))
    if not isinstance(targets, dict):
        return {}
    types = {
        name: fields.get("type") if isinstance(fields, dict) else None for name, fields in targets.items()
    }
    return {
        name: TARGET_TYPES.get(type_) if isinstance(type_, str) else None for name, type_ in types.items()
    }


def _absolute(url: str, path: Path) -> str:
    return _SQLITE + str(_beside(path, url.removeprefix(_SQLITE))) if url.startswith(_SQLITE) else url


def _secrets(settings: Settings) -> list[str]:
    secrets = [secret for target in settings.targets.values() for secret in target.secrets()]
    secrets += settings.escalation.secrets()
    secrets += [secret for hook in settings.hooks.values() for secret in hook.secrets()]
    secrets += heartbeat_secrets(settings.heartbeat)
    if settings.database_url().startswith(_POSTGRES):
        secrets += secrets_in(settings.database)
    return secrets
