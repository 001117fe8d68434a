"""02: a request is five minutes old at most, and an odd time is no error of ours. Also kept by
tests/scenario/test_http_edge.py, where each is a 401 of the whole program."""

import hashlib
import hmac

import pytest

from bot.slack.requests import is_signed

SECRET, NOW, BODY = "a secret", 1_700_000_000, b"command=%2Fmaint"
HOSTILE = (
    str(NOW - 301), str(NOW + 301), "0", "", " ", f" {NOW}", f"{NOW} ", f"{NOW}\n", f"+{NOW}", f"-{NOW}",
    f"{NOW}.0", f"{NOW}e0", "1_700_000_000", "１７００００００００", "١٧٠٠٠٠٠٠٠٠", hex(NOW), "nan", "inf",
    "9" * 12, "9" * 5000, f"{NOW},{NOW}", "\ud800",
)  # fmt: skip


@pytest.mark.parametrize("odd", HOSTILE, ids=[str(at) for at in range(len(HOSTILE))])
def test_an_odd_or_old_time_is_refused_though_it_is_signed(odd: str) -> None:
    """By a no, not by an exception."""
    base = b"v0:" + odd.encode("utf-8", "surrogatepass") + b":" + BODY
    signature = "v0=" + hmac.new(SECRET.encode(), base, hashlib.sha256).hexdigest()

    assert not is_signed(SECRET, odd, signature, BODY, NOW)
