"""The systems that are looked after, and how to reach each: `targets:` in maint.yaml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from runbooks.log_format import LogFormat
from runbooks.scrub import SHORTEST
from runbooks.spec.model import Duration, Spec, Timezone, parse_duration


def _split(url: str) -> SplitResult:
    # The library's own words quote the address, and with it a piece of the password.
    unreadable = (
        "the address cannot be read; in a password, / ? # @ are written %2F %3F %23 %40, "
        "and a port is a number"
    )
    try:
        parts = urlsplit(url)
        for host in _hosts(parts).split(","):  # libpq takes several
            _ = SplitResult("", host, "", "", "").port
    except ValueError:
        raise ValueError(unreadable) from None
    return parts


def _hosts(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _address(url: SecretStr) -> str:
    parts = urlsplit(url.get_secret_value())
    return f"{parts.scheme}://{_hosts(parts)}{parts.path}"


def _through(address: str, via: str | None) -> str:
    return f"{address} via {via}" if via else address


def passwords_in(url: SecretStr) -> tuple[str, ...]:
    """The password in an address, before the `@` or as `?password=`, as written and as it is meant."""
    parts = urlsplit(url.get_secret_value())
    passwords = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    return tuple(form for password in passwords if password for form in (password, unquote(password)))


def secrets_in(url: SecretStr) -> tuple[str, ...]:
    """What of an address must never be shown: nothing when it has no login and no options."""
    # Whoever reads that it is down must see which one.
    written = url.get_secret_value()
    return () if written == _address(url) else (written, *passwords_in(url))


def _credentials(headers: Mapping[str, SecretStr]) -> tuple[str, ...]:
    values = [header.get_secret_value() for header in headers.values()]
    # `Bearer abc`: whoever refuses the token quotes it without the scheme.
    return tuple(word for value in values for word in {value, value.split(" ")[-1]})


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < SHORTEST:
        raise ValueError(f"a secret has at least {SHORTEST} characters, or it cannot be kept out of texts")
    return secret


def _secret_url(url: SecretStr, schemes: tuple[str, ...], example: str) -> SecretStr:
    if _split(url.get_secret_value()).scheme not in schemes:
        raise ValueError(f"the address looks like {example}")
    if any(len(password) < SHORTEST for password in passwords_in(url)):
        raise ValueError(
            f"a password has at least {SHORTEST} characters, or it cannot be kept out of texts; "
            "/ ? # @ in it are written %2F %3F %23 %40"
        )
    return url


def postgres_url(url: SecretStr) -> SecretStr:
    """The address, if it is one that libpq reads; raises ValueError without quoting it."""
    return _secret_url(url, ("postgresql", "postgres"), "postgresql://user@host:5432/database")


def _redis_url(url: SecretStr) -> SecretStr:
    return _secret_url(url, ("redis", "rediss", "unix"), "redis://host:6379/0")


def _http_url(value: str) -> str:
    parts = _split(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address starts with http:// or https:// and names a host")
    if parts.username or parts.password:
        raise ValueError("put the user and password into `headers:` (Authorization), not into the address")
    if parts.query or parts.fragment:
        raise ValueError("the address ends with its path: the paths of steps are joined to it")
    return value.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(_http_url)]
PostgresUrl = Annotated[SecretStr, AfterValidator(postgres_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
Headers = dict[str, Annotated[SecretStr, AfterValidator(_long_enough)]]


def _traffic(value: Any) -> Any:
    # Drivers act on targets, so their modules need this one first.
    from runbooks.steps.traffic import read_driver

    return value if value is None or isinstance(value, Spec) else read_driver(value)


#: How a rollout moves the traffic: one of runbooks.steps.traffic.DRIVERS under its name.
TrafficField = Annotated[
    Spec | None, BeforeValidator(_traffic, json_schema_input_type=dict[str, dict[str, Any]] | None)
]


def _rooted(part: Spec, fields: tuple[str, ...], folder: Path) -> dict[str, str]:
    named = {name: getattr(part, name) for name in fields}
    return {name: str(folder / Path(file).expanduser()) for name, file in named.items() if file}


class TargetBase(Spec):
    """What every target has. `name` is its key in the file."""

    filled: ClassVar = ("name",)
    #: The fields that name files on this machine.
    FILES: ClassVar[tuple[str, ...]] = ()

    name: str = ""
    environment: str = "production"
    description: str = ""

    def where(self) -> str:
        """How to reach it, for people: never a secret."""
        raise NotImplementedError

    def secrets(self) -> tuple[str, ...]:
        """The values in it that must never be shown."""
        return ()

    def rooted(self, folder: Path) -> Self:
        """The same with the files that it names counted from that folder, and `~` written out."""
        return self.model_copy(update=_rooted(self, self.FILES, folder))


class HttpTarget(TargetBase):
    """A web service. `health` is the path that a probe asks for when it names none."""

    type: Literal["http"]
    url: HttpUrl
    health: str = Field(default="/", pattern=r"^/([^/\s]\S*)?$")
    headers: Headers = Field(default_factory=dict)
    verify_tls: bool = True
    ca_file: str | None = None
    traffic: TrafficField = None

    FILES: ClassVar[tuple[str, ...]] = ("ca_file",)

    def where(self) -> str:
        return self.url

    def secrets(self) -> tuple[str, ...]:
        return _credentials(self.headers)


class PostgresTarget(TargetBase):
    """A PostgreSQL server: `url` as libpq reads it. The role pg_monitor is enough for every check."""

    type: Literal["postgres"]
    url: PostgresUrl
    bin: str | None = None  # the folder with pg_dump and pg_restore of its version
    host: str | None = None  # the host target of the machine that it runs on: for how full its disk is
    via: str | None = None  # the host target through which it is reached; `url` is as that machine sees it

    FILES: ClassVar[tuple[str, ...]] = ("bin",)

    def where(self) -> str:
        return _through(_address(self.url), self.via)

    def secrets(self) -> tuple[str, ...]:
        return secrets_in(self.url)


class Bucket(Spec):
    """A bucket of S3. Without keys they come from where boto3 looks: environment, files, the instance."""

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    prefix: str = Field(default="", pattern=r"^([^/].*/)?$", max_length=500)
    endpoint: HttpUrl | None = None
    region: str | None = None
    access_key: SecretStr | None = None
    secret_key: Annotated[SecretStr, AfterValidator(_long_enough)] | None = None
    encryption: Literal["AES256", "aws:kms"] | None = None
    kms_key: str | None = None
    storage_class: str | None = None
    lock_days: int | None = Field(default=None, ge=1, le=36500)
    lock_mode: Literal["GOVERNANCE", "COMPLIANCE"] = "GOVERNANCE"
    ca_file: str | None = None

    @model_validator(mode="after")
    def _has_both_keys(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("`access_key:` and `secret_key:` go together")
        return self


#: What a backup is encrypted with.
BackupKey = Annotated[SecretStr, Field(min_length=32)]


class BackupsTarget(TargetBase):
    """Where backups are kept: a folder, a bucket, or both. With a `key` they are encrypted before."""

    type: Literal["backups"]
    folder: str | None = None
    s3: Bucket | None = None
    key: BackupKey | None = None
    old_keys: tuple[BackupKey, ...] = Field(default=(), strict=False)
    staging: str | None = None

    FILES: ClassVar[tuple[str, ...]] = ("folder", "staging")

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if self.folder is None and self.s3 is None:
            raise ValueError("needs a `folder:`, an `s3:`, or both")
        return self

    def where(self) -> str:
        bucket = f"s3://{self.s3.bucket}/{self.s3.prefix}" if self.s3 else ""
        return " and ".join(place for place in (self.folder or "", bucket) if place)

    def secrets(self) -> tuple[str, ...]:
        keys = [self.key, *self.old_keys, *([self.s3.secret_key] if self.s3 else [])]
        return tuple(key.get_secret_value() for key in keys if key is not None)

    def rooted(self, folder: Path) -> Self:
        files = _rooted(self, self.FILES, folder)
        bucket = self.s3 and self.s3.model_copy(update=_rooted(self.s3, ("ca_file",), folder))
        return self.model_copy(update={**files, "s3": bucket})


class RedisTarget(TargetBase):
    """A Redis server: `redis://`, `rediss://` (TLS) or `unix://`."""

    type: Literal["redis"]
    url: RedisUrl
    via: str | None = None  # the host target through which it is reached; `url` is as that machine sees it

    def where(self) -> str:
        return _through(_address(self.url), self.via)

    def secrets(self) -> tuple[str, ...]:
        return secrets_in(self.url)


class Ssh(Spec):
    """How to log in to a host. The host's key must stand in `known_hosts`; a password is never used."""

    host: str
    port: int = Field(default=22, ge=1, le=65535)
    user: str | None = None
    key_file: str | None = None
    known_hosts: str = "~/.ssh/known_hosts"
    connect_timeout: Duration = parse_duration("10s")


#: The name of a systemd unit, as systemd.unit(5) has it; never an option, never a pattern.
UnitName = Annotated[str, Field(pattern=r"^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,254}$")]


class HostTarget(TargetBase):
    """A machine: this one, or another over ssh. `services` are the systemd units that must run there."""

    type: Literal["host"]
    ssh: Ssh | None = None
    services: tuple[UnitName, ...] = Field(default=(), strict=False)
    ignore_mounts: tuple[str, ...] = Field(default=(), strict=False)

    def where(self) -> str:
        if self.ssh is None:
            return "this machine"
        user = f"{self.ssh.user}@" if self.ssh.user else ""
        return f"ssh://{user}{self.ssh.host}:{self.ssh.port}"

    def rooted(self, folder: Path) -> Self:
        if self.ssh is None:
            return self
        files = _rooted(self.ssh, ("key_file", "known_hosts"), folder)
        return self.model_copy(update={"ssh": self.ssh.model_copy(update=files)})


class PrometheusTarget(TargetBase):
    """A Prometheus server (or anything with its HTTP API); `alertmanager` tells silenced alerts apart."""

    type: Literal["prometheus"]
    url: HttpUrl
    alertmanager: HttpUrl | None = None
    headers: Headers = Field(default_factory=dict)
    verify_tls: bool = True
    ca_file: str | None = None

    FILES: ClassVar[tuple[str, ...]] = ("ca_file",)

    def where(self) -> str:
        return self.url

    def secrets(self) -> tuple[str, ...]:
        return _credentials(self.headers)


class LogsTarget(TargetBase):
    """A log with its rotated files. `host` names a host target when the file is not on this machine."""

    type: Literal["logs"]
    path: str = Field(min_length=1)
    format: Literal["nginx", "json", "python", "syslog"] | LogFormat
    host: str | None = None
    timezone: Timezone = "UTC"

    def where(self) -> str:
        return f"{self.host}:{self.path}" if self.host else self.path

    def rooted(self, folder: Path) -> Self:
        return self if self.host else self.model_copy(update=_rooted(self, ("path",), folder))


#: The name of an object in Kubernetes (a DNS subdomain, RFC 1123); it becomes a part of an address.
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)]
#: Over a network a token is said only to whom a certificate vouches for.
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class KubernetesTarget(TargetBase):
    """A namespace of a cluster. It is reached by a `kubeconfig`, from inside (`in_cluster`), or by `url`."""

    type: Literal["kubernetes"]
    namespace: ObjectName = "default"
    kubeconfig: str | None = None
    context: str | None = None
    in_cluster: bool = False
    url: HttpUrl | None = None
    token: Annotated[SecretStr, AfterValidator(_long_enough)] | None = None
    token_file: str | None = None
    ca_file: str | None = None
    traffic: TrafficField = None

    FILES: ClassVar[tuple[str, ...]] = ("kubeconfig", "token_file", "ca_file")

    @model_validator(mode="after")
    def _has_one_way_in(self) -> Self:
        if sum((self.kubeconfig is not None, self.in_cluster, self.url is not None)) != 1:
            raise ValueError("needs one of `kubeconfig:`, `in_cluster: true` and `url:`")
        if self.context is not None and self.kubeconfig is None:
            raise ValueError("`context:` chooses one of a `kubeconfig:`")
        if self.url is None and (self.token or self.token_file or self.ca_file):
            raise ValueError("`token:`, `token_file:` and `ca_file:` go with `url:`")
        if self.token and self.token_file:
            raise ValueError("`token:` and `token_file:` are two ways to say one thing")
        parts = urlsplit(self.url or "")
        if (self.token or self.token_file) and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("a token is only sent over https://")
        return self

    def where(self) -> str:
        if self.in_cluster:
            return f"this cluster, namespace {self.namespace}"
        context = f" ({self.context})" if self.context else ""
        return f"{self.url or self.kubeconfig}{context}, namespace {self.namespace}"

    def secrets(self) -> tuple[str, ...]:
        return (self.token.get_secret_value(),) if self.token else ()


Target = Annotated[
    HttpTarget
    | PostgresTarget
    | RedisTarget
    | HostTarget
    | PrometheusTarget
    | LogsTarget
    | KubernetesTarget
    | BackupsTarget,
    Field(discriminator="type"),
]


#: The word in `type:` -> the model.
TARGET_TYPES: Mapping[str, type[TargetBase]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(Target)[0])
}
