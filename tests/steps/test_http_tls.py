"""`http.probe` over TLS: what it says of certificates, good and bad, and whose settings it uses."""

import ssl
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import trustme

from runbooks.errors import StepError
from runbooks.status import Status
from tests.steps.probing import NOW, finding, names, probe
from tests.steps.serving import redirects, says, serve, serve_bytes

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority of the company's own."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """The authority's certificate as a file."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def server_side(
    authority: trustme.CA, name: str = "127.0.0.1", ends: datetime = NOW + 30 * DAY
) -> ssl.SSLContext:
    """A server's TLS settings with a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_before=NOW - 90 * DAY, not_after=ends).configure_cert(context)
    return context


async def test_the_days_left_are_read_from_the_connection(authority: trustme.CA, ca_file: str) -> None:
    """A certificate that ends in thirty days has 30 days left."""
    async with serve(tls=server_side(authority), root=says("")) as url:
        measured = await probe(url, target={"ca_file": ca_file})
    assert (measured.values["certificate_days"], measured.findings) == (30.0, ())


async def test_plain_http_has_no_certificate() -> None:
    """Without TLS there are no days to tell."""
    async with serve(root=says("")) as url:
        assert (await probe(url)).values["certificate_days"] is None


async def test_an_expired_certificate_is_critical(authority: trustme.CA, ca_file: str) -> None:
    """An expired certificate is a finding that says so."""
    async with serve(tls=server_side(authority, ends=NOW - DAY), root=says("")) as url:
        text = finding(await probe(url, target={"ca_file": ca_file}))
    assert text == f"{url}/ has a certificate that does not hold: certificate has expired"


async def test_a_certificate_for_another_name_is_critical(authority: trustme.CA, ca_file: str) -> None:
    """A certificate of the right authority for the wrong host is a finding."""
    async with serve(tls=server_side(authority, name="other.example"), root=says("")) as url:
        assert "IP address mismatch" in finding(await probe(url, target={"ca_file": ca_file}))


async def test_an_unknown_authority_is_critical_and_points_to_ca_file(authority: trustme.CA) -> None:
    """A certificate that nobody vouches for is a finding, with the setting that may be missing."""
    async with serve(tls=server_side(authority), root=says("")) as url:
        assert finding(await probe(url)).endswith("is its authority in the target's ca_file?")


async def test_a_certificate_holds_for_the_name_though_the_address_is_called(
    authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of the target is what the certificate is held against, not the IP address it has."""

    names(monkeypatch, ["127.0.0.1"])
    async with serve(tls=server_side(authority, name="app.example"), root=says("")) as url:
        measured = await probe(url.replace("127.0.0.1", "app.example"), target={"ca_file": ca_file})
    assert (measured.values["certificate_days"], measured.findings) == (30.0, ())


async def test_an_unverified_certificate_is_no_finding(authority: trustme.CA) -> None:
    """With `verify_tls: false` even an expired certificate passes; its days are not known."""
    async with serve(tls=server_side(authority, ends=NOW - DAY), root=says("")) as url:
        measured = await probe(url, target={"verify_tls": False})
    assert (measured.values["status"], measured.values["certificate_days"], measured.findings) == (
        200,
        None,
        (),
    )


async def test_a_threshold_that_cannot_be_judged_is_unknown(authority: trustme.CA) -> None:
    """Days that are to be judged but cannot be read are a doubt, not silence."""
    async with serve(tls=server_side(authority), root=says("")) as url:
        measured = await probe(url, target={"verify_tls": False}, warning={"certificate_days": {"below": 14}})
    assert [status for status, _ in measured.findings] == [Status.UNKNOWN]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file or directory"), ("no certificate", "no certificate in PEM form")],
)
async def test_a_ca_file_that_cannot_be_used_is_unknown(
    tmp_path: Path, content: str | None, words: str
) -> None:
    """Our own missing or broken file says nothing about the service."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StepError, match=f"the ca_file of target app cannot be used: .*: .*{words}"):
        await probe("https://127.0.0.1:9", target={"ca_file": str(path)})


async def test_a_changed_ca_file_is_read_again(authority: trustme.CA, tmp_path: Path) -> None:
    """A new authority in the file counts without a restart."""
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    async with serve(tls=server_side(authority), root=says("")) as url:
        before = await probe(url, target={"ca_file": str(path)})
        authority.cert_pem.write_to_path(path)
        after = await probe(url, target={"ca_file": str(path)})
    assert (len(before.findings), len(after.findings)) == (1, 0)


async def test_a_server_without_tls_is_critical() -> None:
    """https:// to a port that speaks something else is a finding about the handshake."""
    async with serve_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        assert "fails the TLS handshake" in finding(await probe(url.replace("http:", "https:")))


async def test_a_redirect_from_tls_to_plain_is_not_followed(authority: trustme.CA, ca_file: str) -> None:
    """Nobody can make a probe give up its encryption."""
    plain = "http://127.0.0.1:9"
    fields = {"follow_redirects": True, "redirect_hosts": ["127.0.0.1:9"]}
    async with serve(tls=server_side(authority), root=redirects(plain)) as url:
        measured = await probe(url, target={"ca_file": ca_file}, **fields)
    assert "where this probe may not follow" in finding(measured)


async def test_a_redirect_from_plain_to_tls_is_followed(authority: trustme.CA, ca_file: str) -> None:
    """The common step up to https on the same host needs no list, and brings the certificate's days."""
    async with (
        serve(tls=server_side(authority), root=says("")) as secure,
        serve(root=redirects(secure)) as url,
    ):
        measured = await probe(url, target={"ca_file": ca_file}, follow_redirects=True)
    assert (measured.values["certificate_days"], measured.findings) == (30.0, ())
