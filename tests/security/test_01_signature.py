"""01: what Slack did not sign is nothing. Also kept by tests/scenario/test_http_edge.py."""

import hashlib
import hmac
import time

import pytest

from bot.slack.requests import is_signed

SECRET, NOW = "8f742231b10e8888abcd99yyyzzz85a5", 1_700_000_000
BODY = b"command=%2Fmaint&text=stop"


def signed(secret: str, base: bytes, algorithm: str = "sha256") -> str:
    """The signature of those bytes."""
    return "v0=" + hmac.new(secret.encode(), base, algorithm).hexdigest()


BASE = b"v0:%d:%b" % (NOW, BODY)
HOSTILE = {
    "of another app": signed("another secret", BASE),
    "with an empty secret": signed("", BASE),
    "of the body alone": signed(SECRET, BODY),
    "without the version": signed(SECRET, BASE.removeprefix(b"v0:")),
    "of another body": signed(SECRET, BASE + b"&text=health"),
    "of a body with a line more": signed(SECRET, BASE + b"\n"),
    "of another time": signed(SECRET, b"v0:%d:%b" % (NOW - 1, BODY)),
    "by a weaker digest": signed(SECRET, BASE, "sha1"),
    "no signature but a digest": "v0=" + hashlib.sha256(BASE).hexdigest(),
    "the right one twice": signed(SECRET, BASE) + "," + signed(SECRET, BASE),
    "the right one with a line behind it": signed(SECRET, BASE) + "\n",
    "in capital letters": signed(SECRET, BASE).upper(),
    "cut": signed(SECRET, BASE)[:-1],
    "none": "",
}


@pytest.mark.parametrize("forged", HOSTILE.values(), ids=HOSTILE)
def test_a_forged_signature_is_none(forged: str) -> None:
    """However near it comes."""
    assert not is_signed(SECRET, str(NOW), forged, BODY, NOW)


def test_the_right_one_is_taken() -> None:
    """What is refused above is refused for its signature."""
    assert is_signed(SECRET, str(NOW), signed(SECRET, BASE), BODY, NOW)


def test_it_is_compared_without_telling_how_near_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """In constant time, by the function that is made for it."""
    compared: list[tuple[object, object]] = []

    def compare(first: str, second: str) -> bool:
        compared.append((first, second))
        return False

    monkeypatch.setattr("bot.slack.requests.hmac.compare_digest", compare)
    assert not is_signed(SECRET, str(NOW), signed(SECRET, BASE), BODY, time.time() * 0 + NOW)
    assert len(compared) == 1
