"""PostgreSQL on another machine is verified, unless somebody says otherwise."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from runbooks.errors import RecordsError, StepError
from runbooks.libpq import tls_arguments
from runbooks.records.database import open_database
from runbooks.steps.postgres import PostgresConnect
from tests.steps.postgres_servers import measure


@pytest.mark.parametrize("host", ["", "localhost", "/run/pg", "127.0.0.1", "::1", "localhost,127.0.0.2"])
def test_what_stays_on_the_machine_needs_no_tls(host: str) -> None:
    """Sockets and loopback addresses are connected to as they are."""
    assert tls_arguments({"host": host}) == {}


@pytest.mark.parametrize("host", ["db.example.com", "10.0.0.5", "localhost,db.example.com", "192.168.0.1"])
def test_what_leaves_the_machine_is_verified(host: str) -> None:
    """Any other host has to prove who it is, private addresses too."""
    arguments = tls_arguments({"host": host})

    assert arguments["sslmode"] == "verify-full"
    assert arguments["sslrootcert"].startswith("/")


def test_the_url_has_the_last_word() -> None:
    """An sslmode in the url is kept, and so is an authority of one's own."""
    assert tls_arguments({"host": "db.example.com", "sslmode": "disable"}) == {}
    assert tls_arguments({"host": "db.example.com", "sslrootcert": "/ca.pem"}) == {"sslmode": "verify-full"}


@pytest.fixture
async def without_tls() -> AsyncIterator[str]:
    """The url of a server that has no TLS, as PostgreSQL says it: one letter N to an SSLRequest."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"N")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"postgresql://u:hidden-pw@db.example.com:{port}/x?hostaddr=127.0.0.1"


async def test_a_database_without_tls_is_refused_with_advice(without_tls: str) -> None:
    """Maint's own database: a server that cannot prove who it is gets no password, and people an advice."""
    with pytest.raises(RecordsError, match="sslmode=disable") as caught:
        await asyncio.to_thread(open_database, without_tls)

    assert "hidden-pw" not in str(caught.value)


async def test_a_target_without_tls_is_said_to_be(without_tls: str) -> None:
    """A target's check says what is missing and what to write."""
    try:
        measured = await measure(PostgresConnect(), without_tls)
        said = str(measured.findings)
    except StepError as error:
        said = str(error)

    assert "no verified TLS" in said
    assert "sslmode=disable" in said
