"""Which network addresses a step may call: never those that only serve to steal credentials or to flood."""

import asyncio
import ipaddress
import socket

from runbooks.errors import StepError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Credential services of clouds that answer outside the link-local range (their documentation names them).
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "100.100.100.200",  # Alibaba Cloud
            "168.63.129.16",  # Azure, WireServer
            "fd00:ec2::254",  # AWS
            "fd20:ce::254",  # Google Cloud
        ),
    )
)
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")  # RFC 1122: "this host"; Linux connects it to itself
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
_COMPATIBLE = ipaddress.ip_network("::/96")  # RFC 4291 2.5.5.1, deprecated; :: and ::1 lie in it
_LOOPBACK = ipaddress.IPv6Address("::1")


def _unwrapped(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 one carries, where the network would deliver it to that."""
    if isinstance(address, ipaddress.IPv4Address) or address == _LOOPBACK:
        return address
    if address in _NAT64 or address in _COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def forbidden(text: str) -> str | None:
    """Why that IP address must never be called, in words; None when it may be.

    Private and loopback addresses may: only maint.yaml names targets, and it names them to be called.
    """
    inner = _unwrapped(ipaddress.ip_address(text))
    if inner.is_link_local or inner in _METADATA:
        return "a link-local or metadata address"
    if inner.is_unspecified or (inner.version == 4 and inner in _THIS_NETWORK):
        return "an unspecified address"
    if inner.is_multicast:
        return "a multicast address"
    if inner.version == 4 and inner.is_reserved:
        return "a broadcast or reserved address"
    return None


async def look_up(host: str, port: int) -> tuple[str, ...]:
    """The IP addresses of a host, in the order to try them. Connect to these, and do not ask again: a
    second answer could be another one (DNS rebinding).

    Raises StepError when any of them must not be called, socket.gaierror when there is none.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
    except UnicodeError as error:
        raise StepError(
            f"{host!r} cannot be a host name; look at the target's address in maint.yaml"
        ) from error
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if reason := forbidden(address):
            raise StepError(f"{host} is {address}, {reason}, which Maint never calls")
    return addresses
