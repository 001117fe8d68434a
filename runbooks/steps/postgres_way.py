"""How libpq reaches a target's server: as its url says, or through another machine (`via:`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from runbooks.errors import StepError
from runbooks.libpq import is_local
from runbooks.steps.reach import Shared
from runbooks.steps.via import End, Entry, Tunnel, tunnel_to
from runbooks.targets import PostgresTarget

#: Where a server has its socket when the url names no host, as the packages have it.
SOCKETS = "/var/run/postgresql"
_PORT = "5432"
#: What `sslmode` says when TLS must be, which libpq has over TCP only.
_TLS = frozenset({"require", "verify-ca", "verify-full"})


@dataclass(frozen=True, kw_only=True)
class Way:
    """The url's options, and what of them is otherwise: `host`, `hostaddr` and `port` of a tunnel's entry.

    `given` is what says whether TLS is verified, and for which name.
    """

    given: Mapping[str, Any] = field(repr=False)
    detour: Mapping[str, str]
    tunnel: Tunnel | None

    def lost(self) -> StepError | None:
        """The error for a way that broke; None where it did not, or where there is none."""
        return self.tunnel.lost() if self.tunnel else None

    async def fault(self) -> StepError | None:
        """Why a connection was not made, as far as it is the way's fault."""
        return await self.tunnel.fault() if self.tunnel else None


async def way_to(target: PostgresTarget, reach: Shared) -> Way:
    """The way there, open. Raises StepError, also for a url that is wrong."""
    given = url_says(target)
    if target.via is None:
        return Way(given=given, detour={}, tunnel=None)
    if given.get("service"):
        raise StepError(
            f"the url of {target.where()} has a `service`, whose file may name another host: with "
            "`via:` write host and port into the url"
        )
    hosts = _hosts(given, target)
    tunnel = await tunnel_to(target.via, tuple(_end(host, given) for host in hosts), reach)
    return Way(given=given, detour=_detour(hosts, tunnel.entries), tunnel=tunnel)


def url_says(target: PostgresTarget) -> dict[str, Any]:
    """The options in the url, as libpq reads it. Raises StepError."""
    try:
        return dict(conninfo_to_dict(target.url.get_secret_value()))
    except psycopg.ProgrammingError:
        # Without its cause: libpq's words quote the address, and with it a piece of the password.
        raise StepError(
            f"libpq cannot read the url of {target.where()}: check the options behind its `?`"
        ) from None


@dataclass(frozen=True, kw_only=True)
class _Host:
    """One of the hosts of a url: libpq takes several, and tries one after another."""

    name: str
    address: str
    port: str

    @property
    def place(self) -> str:
        """Where to connect to; `name` is whom the certificate must be of."""
        return self.address or self.name

    @property
    def is_socket(self) -> bool:
        """Whether that is a folder with a socket."""
        return not self.place or self.place.startswith("/")


def _hosts(given: Mapping[str, Any], target: PostgresTarget) -> list[_Host]:
    names, addresses, ports = (str(given.get(key) or "").split(",") for key in ("host", "hostaddr", "port"))
    count = max(len(names), len(addresses))
    columns = [
        column * count if len(column) == 1 and (not column[0] or column is ports) else column
        for column in (names, addresses, ports)
    ]
    if any(len(column) != count for column in columns):
        raise StepError(f"the url of {target.where()} has not as many ports or addresses as hosts")
    return [
        _Host(name=name, address=address, port=port or _PORT)
        for name, address, port in zip(*columns, strict=True)
    ]


def _end(host: _Host, given: Mapping[str, Any]) -> End:
    name = "" if _needs_tcp(host, given) else f".s.PGSQL.{_PORT}"
    if host.is_socket:
        return End(path=f"{host.place or SOCKETS}/.s.PGSQL.{host.port}", name=name)
    if not host.port.isdecimal():
        raise StepError("a port in the url is no number")
    return End(host=host.place, port=int(host.port), name=name)


def _needs_tcp(host: _Host, given: Mapping[str, Any]) -> bool:
    """libpq speaks TLS over TCP alone; everything else has a socket that no other user can connect to."""
    if host.is_socket:
        return False
    mode = given.get("sslmode")
    if is_local(host.name) and is_local(host.address):
        return mode in _TLS
    return mode != "disable"


def _detour(hosts: list[_Host], entries: tuple[Entry, ...]) -> dict[str, str]:
    # An entry at a port keeps its host's name: the certificate must be of that.
    pairs = list(zip(hosts, entries, strict=True))
    return {
        "host": ",".join(entry.folder or host.name for host, entry in pairs),
        "hostaddr": ",".join("" if entry.folder else "127.0.0.1" for _, entry in pairs),
        "port": ",".join(str(entry.port or _PORT) for _, entry in pairs),
    }
