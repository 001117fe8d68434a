"""The way to a server through another machine (`via:` of a target): a socket here that is passed on there.

Which addresses may be called is not looked at there (see address.py): maint.yaml names that machine and the
address, no step and nobody in Slack can, and what its network lets it reach is for that machine to say. Names
are looked up there too.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from runbooks.errors import StepError
from runbooks.spec.model import parse_duration
from runbooks.steps.machine import find_machine
from runbooks.steps.reach import Shared
from runbooks.steps.socket_folder import socket_folder
from runbooks.steps.units import show
from runbooks.targets import HostTarget, PostgresTarget, RedisTarget

if TYPE_CHECKING:
    from runbooks.steps.ssh import SshMachine
    from runbooks.steps.ssh_forward import Forwarding, Refusal

T = TypeVar("T")

#: In /proc/net/unix: the flags of a socket that takes connections (__SO_ACCEPTCON of the kernel).
_LISTENS = "00010000"
_TABLE = parse_duration("5s")


class NotReached(StepError):
    """The other machine was reached, and nobody listens where the target is said to be."""


@dataclass(frozen=True, kw_only=True)
class End:
    """A server as the other machine sees it, a socket's `path` or a host and port; and how it is reached
    here: by a socket in a private folder under that `name`, or else, without one, by a port on loopback."""

    path: str = ""
    host: str = ""
    port: int = 0
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where one connects to here: a socket in that folder, or a port on 127.0.0.1."""

    folder: str = ""
    port: int = 0


class Tunnel:
    """A way that is open, with an entry for each end."""

    def __init__(
        self, machine: "SshMachine", forwardings: Sequence["Forwarding"], entries: Sequence[Entry]
    ) -> None:
        self.entries = tuple(entries)
        self._machine = machine
        self._forwardings = forwardings

    def lost(self) -> StepError | None:
        """The error for a way that broke; None while it is open."""
        return self._machine.lost()

    async def fault(self) -> StepError | None:
        """Why one who connected did not get through, as far as it is the way's fault. Raises nothing."""
        if (lost := self.lost()) is not None:
            return lost
        found = [(each, refusal) for each in self._forwardings if (refusal := each.refusal())]
        if len(found) < len(self._forwardings):
            return None  # one of several servers was reached, and says itself what is wrong
        for forwarding, refusal in found:
            if refusal.forbidden or await self._listens(forwarding.to.path):
                return self._forbidden(forwarding, refusal)
        told = ", nor ".join(f"to {forwarding.to}: {refusal.words}" for forwarding, refusal in found)
        return NotReached(
            f"{self._machine.where} cannot connect {told} (does the server listen there, and may whoever "
            "logs in connect?)"
        )

    async def _listens(self, path: str) -> bool:
        """Whether somebody listens at that socket there. sshd says the same whether nobody does or it passes
        nothing on to sockets; where Linux does not say it either, nobody knows how the server is."""
        if not path:
            return False
        try:
            table = await self._machine.run(["cat", "/proc/net/unix"], _TABLE)
        except StepError:
            return True
        # By its end: /run and /var/run are the same folder.
        ending = "/".join(("", *Path(path).parts[-2:]))
        sockets = [line.split(maxsplit=7) for line in table.output.splitlines()]
        return any(len(row) == 8 and row[3] == _LISTENS and row[7].endswith(ending) for row in sockets)

    def _forbidden(self, forwarding: "Forwarding", refusal: "Refusal") -> StepError:
        if forwarding.to.path:
            # sshd asks for all of these before it passes something on to a socket.
            options = "AllowTcpForwarding and AllowStreamLocalForwarding yes (or local), no PermitOpen"
            may = ". And whoever logs in must be able to connect to that socket"
        else:
            options = f"AllowTcpForwarding yes (or local), and PermitOpen, if set, with {forwarding.to}"
            may = ""
        return StepError(
            f"{self._machine.where} does not pass connections on to {forwarding.to}: sshd says "
            f"`{refusal.words}`. In sshd_config there: {options}, no DisableForwarding; before the key in "
            f"authorized_keys no restrict or no-port-forwarding{may}"
        )


async def in_time(opening: Awaitable[T], target: PostgresTarget | RedisTarget, seconds: float) -> T:
    """The way that is being opened, in at most that many seconds. Raises StepError when it is not there then:
    of the server behind it nothing is known."""
    try:
        async with asyncio.timeout(seconds):
            return await opening
    except TimeoutError as error:
        raise StepError(
            f"{target.where()}: there was no way through {target.via} within {show(seconds, 's')}"
        ) from error


async def tunnel_to(via: str, ends: tuple[End, ...], reach: Shared) -> Tunnel:
    """The way to those ends through that host target; one serves every step of a report. Raises StepError."""
    host = reach.targets.get(via)
    if not isinstance(host, HostTarget) or host.ssh is None:
        raise StepError(f"`via: {via}` must name a target of the type host with `ssh:` in maint.yaml")
    there = host
    return await reach.connections.get(
        ("tunnel", host.ssh, ends), lambda: _open_tunnel(there, ends, reach), Tunnel.lost
    )


@asynccontextmanager
async def _open_tunnel(host: HostTarget, ends: tuple[End, ...], reach: Shared) -> AsyncIterator[Tunnel]:
    machine = await find_machine(host, reach)
    from runbooks.steps.ssh import SshMachine  # an extra, which is there if that machine is
    from runbooks.steps.ssh_forward import Beyond

    assert isinstance(machine, SshMachine)
    async with AsyncExitStack() as stack:
        forwardings, entries = [], []
        try:
            folder = stack.enter_context(socket_folder())
            for number, end in enumerate(ends):
                forwarding = machine.forward(Beyond(path=end.path, host=end.host, port=end.port))
                forwardings.append(forwarding)
                if end.name:
                    place = folder / str(number)
                    place.mkdir(mode=0o700)
                    await stack.enter_async_context(forwarding.at_path(place / end.name))
                    entries.append(Entry(folder=str(place)))
                else:
                    entries.append(Entry(port=await stack.enter_async_context(forwarding.at_port())))
        except OSError as error:
            raise StepError(
                f"no socket for the way through {machine.where} can be made here: {error.strerror}"
            ) from error
        yield Tunnel(machine, forwardings, entries)
