"""Addresses that no step may call are refused in every way to write them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.errors import StepError
from runbooks.steps.address import forbidden, look_up

METADATA = ipaddress.IPv4Address("169.254.169.254")


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%1",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "::ffff:0.0.0.0",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
    ],
)
def test_an_address_that_serves_no_probe_is_forbidden(address: str) -> None:
    """Link-local, metadata, unspecified, multicast and reserved addresses are refused in every notation."""
    assert forbidden(address) is not None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "fd12:3456::1",
        "1.1.1.1",
        "2606:4700::1",
    ],
)
def test_an_address_that_a_target_may_have_is_allowed(address: str) -> None:
    """Loopback, private and public addresses may be called: the target names them."""
    assert forbidden(address) is None


@given(st.ip_addresses(network="169.254.0.0/16"), st.sampled_from(["::ffff:{}", "::{}", "64:ff9b::{}", "{}"]))
def test_every_link_local_address_is_forbidden_in_every_notation(
    address: ipaddress.IPv4Address, notation: str
) -> None:
    """No address of 169.254.0.0/16 gets through, however it is wrapped in an IPv6 address."""
    assert forbidden(notation.format(address)) is not None


@given(st.ip_addresses())
def test_every_address_gets_a_verdict(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Any address is either allowed or refused with a reason; none makes the guard fail."""
    assert forbidden(str(address)) != ""


@pytest.mark.parametrize(
    "host", ["169.254.169.254", str(int(METADATA)), "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "0"]
)
async def test_a_disguised_number_is_refused_when_it_is_looked_up(host: str) -> None:
    """Decimal, octal and hexadecimal forms are what the system's resolver makes of them, and are refused."""
    with pytest.raises(StepError, match="which Maint never calls"):
        await look_up(host, 80)


async def test_an_allowed_host_is_looked_up_to_its_addresses() -> None:
    """A name is answered with the addresses to connect to."""
    assert "127.0.0.1" in await look_up("localhost", 80)


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
async def test_a_text_that_cannot_be_a_host_name_says_so(host: str) -> None:
    """A label that is empty or too long is a fault of the settings, in words."""
    with pytest.raises(StepError, match="cannot be a host name"):
        await look_up(host, 80)
