"""The systems that are looked after, and how to reach each: `targets:` in maint.yaml."""

from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from runbooks.spec.model import Duration, Spec, parse_duration


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address starts with http:// or https:// and names a host")
    if parts.username or parts.password:
        raise ValueError("put the user and password into `headers:` (Authorization), not into the address")
    return value.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(_http_url)]


class TargetBase(Spec):
    """What every target has. `name` is its key in the file."""

    name: str = ""
    environment: str = "production"
    description: str = ""

    def where(self) -> str:
        """How to reach it, for people: never a secret."""
        raise NotImplementedError

    def secrets(self) -> tuple[str, ...]:
        """The values in it that must never be shown."""
        return ()


class HttpTarget(TargetBase):
    """A web service. `health` is the path that a probe asks for when it names none."""

    type: Literal["http"]
    url: HttpUrl
    health: str = Field(default="/", pattern=r"^/(?!/)\S*$")
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    verify_tls: bool = True
    ca_file: str | None = None

    def where(self) -> str:
        return self.url

    def secrets(self) -> tuple[str, ...]:
        return tuple(value.get_secret_value() for value in self.headers.values())


class PostgresTarget(TargetBase):
    """A PostgreSQL server: `url` as libpq reads it. The role pg_monitor is enough for every check."""

    type: Literal["postgres"]
    url: SecretStr

    def where(self) -> str:
        parts = urlsplit(self.url.get_secret_value())
        port = f":{parts.port}" if parts.port else ""
        return f"postgresql://{parts.hostname or 'localhost'}{port}{parts.path}"

    def secrets(self) -> tuple[str, ...]:
        return (self.url.get_secret_value(), urlsplit(self.url.get_secret_value()).password or "")

    @model_validator(mode="after")
    def _is_postgres(self) -> "PostgresTarget":
        if urlsplit(self.url.get_secret_value()).scheme not in ("postgresql", "postgres"):
            raise ValueError("a postgres url looks like postgresql://user:${PASSWORD}@host:5432/database")
        return self


class RedisTarget(TargetBase):
    """A Redis server: `redis://`, `rediss://` (TLS) or `unix://`."""

    type: Literal["redis"]
    url: SecretStr

    def where(self) -> str:
        parts = urlsplit(self.url.get_secret_value())
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"

    def secrets(self) -> tuple[str, ...]:
        return (self.url.get_secret_value(), urlsplit(self.url.get_secret_value()).password or "")

    @model_validator(mode="after")
    def _is_redis(self) -> "RedisTarget":
        if urlsplit(self.url.get_secret_value()).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("a redis url looks like redis://:${PASSWORD}@host:6379/0")
        return self


class Ssh(Spec):
    """How to log in to a host. The host's key must stand in `known_hosts`; a password is never used."""

    host: str
    port: int = Field(default=22, ge=1, le=65535)
    user: str | None = None
    key_file: str | None = None
    known_hosts: str = "~/.ssh/known_hosts"
    connect_timeout: Duration = parse_duration("10s")


class HostTarget(TargetBase):
    """A machine: this one, or another over ssh. `services` are the systemd units that must run there."""

    type: Literal["host"]
    ssh: Ssh | None = None
    services: tuple[str, ...] = Field(default=(), strict=False)
    ignore_mounts: tuple[str, ...] = Field(default=(), strict=False)

    def where(self) -> str:
        if self.ssh is None:
            return "this machine"
        user = f"{self.ssh.user}@" if self.ssh.user else ""
        return f"ssh://{user}{self.ssh.host}:{self.ssh.port}"


class PrometheusTarget(TargetBase):
    """A Prometheus server (or anything with its HTTP API); `alertmanager` tells silenced alerts apart."""

    type: Literal["prometheus"]
    url: HttpUrl
    alertmanager: HttpUrl | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    verify_tls: bool = True
    ca_file: str | None = None

    def where(self) -> str:
        return self.url

    def secrets(self) -> tuple[str, ...]:
        return tuple(value.get_secret_value() for value in self.headers.values())


class LogFormat(Spec):
    """A line format of your own. `pattern` is a regular expression with the groups `time`, and as there
    are any `level`, `status`, `message`; `time` is a strptime format, `iso` or `epoch`."""

    pattern: str
    time: str
    error_levels: tuple[str, ...] = Field(
        default=("ERROR", "FATAL", "CRITICAL", "ALERT", "EMERG"), strict=False
    )
    total: bool = False  # every line is one request, so a rate can be computed


class LogsTarget(TargetBase):
    """A log with its rotated files. `host` names a host target when the file is not on this machine."""

    FORMATS: ClassVar = ("nginx", "json", "python", "syslog")

    type: Literal["logs"]
    path: str
    format: Literal["nginx", "json", "python", "syslog"] | LogFormat
    host: str | None = None
    timezone: str = "UTC"

    def where(self) -> str:
        return f"{self.host}:{self.path}" if self.host else self.path


Target = Annotated[
    HttpTarget | PostgresTarget | RedisTarget | HostTarget | PrometheusTarget | LogsTarget,
    Field(discriminator="type"),
]
