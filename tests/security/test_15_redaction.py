"""15: a secret is in nothing that goes out, however it is written. Also kept by tests/test_scrub.py,
tests/scenario/test_canary.py, tests/scenario/test_secrets.py, tests/test_logs.py and
tests/steps/test_printed.py."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from commands.reply import Button, Fields, Line, Lines, Mark, Paragraph, Reply
from runbooks.scrub import Scrubber, scrubbed
from runbooks.visible import shorten

SECRET = "tr0ub4dor&3 +/=é<x>"
BASE64 = base64.b64encode(f"user:{SECRET}".encode()).decode()
HOSTILE = {
    "as it is": SECRET,
    "in an address": quote(SECRET, safe=""),
    "in an address, in small letters": quote(SECRET, safe="").replace("%2B", "%2b").replace("%2F", "%2f"),
    "in a form": quote_plus(SECRET),
    "in JSON": json.dumps({"p": SECRET}),
    "in JSON in JSON": json.dumps(json.dumps({"p": SECRET})),
    "in base64 behind a user": BASE64,
    "in base64 for addresses": base64.urlsafe_b64encode(f"u:{SECRET}".encode()).decode(),
    "in base64, wrapped": "\n".join(BASE64[at : at + 7] for at in range(0, len(BASE64), 7)),
    "in hex": SECRET.encode().hex(),
    "wrapped": SECRET[:9] + "\n" + SECRET[9:],
    "wrapped by Windows": SECRET[:5] + "\r\n" + SECRET[5:],
    "in a header": f"Authorization: Basic {BASE64}",
}
#: Tokens that nobody told Maint of.
UNKNOWN = (
    "xoxb-123456789012-1234567890123-abcdefABCDEF123456789012", "xapp-1-A0123-1234567890-abcdef0123456789",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345", "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "postgresql://maint:h3xed-p4ss@db/maint",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_it_is_replaced_in_every_part_of_an_answer(text: str) -> None:
    """In titles, notes, buttons and what is for machines."""
    reply = Reply(
        title=text,
        fallback=text,
        elements=(
            Paragraph(text),
            Fields((("a", text),)),
            Lines((Line(mark=Mark.TO_DO, text=text, note=text),)),
        ),
        data={"deep": [{"er": text}]},
    )
    before, after = repr(reply), repr(scrubbed(reply, Scrubber([SECRET])))

    assert after.count("[secret]") >= 6
    assert repr(text)[1:-1] in before
    assert repr(text)[1:-1] not in after


@pytest.mark.parametrize("token", UNKNOWN)
def test_a_token_of_a_known_shape_is_replaced_though_nobody_knows_it(token: str) -> None:
    """Wherever it stands."""
    text = f'{{"a": "{token}"}} and ({token}), {token}'
    found = Scrubber()(text)

    assert token not in found
    assert "h3xed-p4ss" not in found


def test_what_is_cut_was_scrubbed_before() -> None:
    """Else half of a secret would be none any more."""
    text = Scrubber([SECRET])("x" * 30 + SECRET)

    assert all(part not in shorten(text, 40) for part in (SECRET[:6], SECRET[:8]))


def test_a_button_has_no_secret_either() -> None:
    """Not in what it says, and not in what it stands for."""
    button = Button(text=SECRET, action="x", value=SECRET, command=SECRET)

    assert SECRET not in repr(scrubbed(button, Scrubber([SECRET])))
