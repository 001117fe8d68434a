"""A checkpoint's text says what was signed, and nothing else is taken for one."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from runbooks.proof.checkpoint import FIRST, Checkpoint, find_checkpoints, read_document
from runbooks.proof.signing import PublicKey, SigningKey, check_public_key, make_key
from runbooks.proof.trail import believe

KEY, OTHER = SigningKey(make_key()), SigningKey(make_key())
AT = datetime(2026, 11, 22, 1, 2, 3, 4, tzinfo=UTC)


def made(key: SigningKey = KEY, **changes: object) -> Checkpoint:
    """A signed checkpoint, of which a test names only what it is about."""
    values = {
        "kind": "anchor",
        "seq": 7,
        "hash": "a" * 64,
        "count": 7,
        "at": AT,
        "previous": FIRST,
        "key": "",
    }
    return Checkpoint(**{**values, **changes}).signed(key)  # type: ignore[arg-type]


def test_a_checkpoint_comes_back_from_its_line_and_from_a_message_around_it() -> None:
    """Whatever stands before and after it, it is found, and its signature fits."""
    text = f"Anchor of the audit log\n```{made().line}```\nkeep it {{\n{made(seq=8).line}"

    found = list(find_checkpoints(text))

    assert found == [made(), made(seq=8)]
    assert all(each.fits_its_signature for each in found)


def test_the_document_is_canonical_json() -> None:
    """So that somebody else's program signs and digests the same bytes."""
    document = made().document

    assert document == json.dumps(json.loads(document), sort_keys=True, separators=(",", ":"))
    assert '"at":"2026-11-22T01:02:03.000004Z"' in document
    assert read_document(document, made().signature) == made()


@pytest.mark.parametrize("field", ["seq", "hash", "count", "at", "previous", "kind", "key"])
def test_a_changed_field_breaks_the_signature(field: str) -> None:
    """Every field is signed."""
    new = {"seq": 9, "count": 9, "hash": "b" * 64, "previous": "b" * 64, "kind": "prune", "key": OTHER.public}
    fields = json.loads(made().document) | {field: new.get(field, "2026-11-23T01:02:03.000004Z")}
    line = json.dumps({"anchor": fields, "signature": made().signature})

    (found,) = find_checkpoints(line)

    assert not found.fits_its_signature


@pytest.mark.parametrize(
    "change",
    [
        {"seq": "7"}, {"seq": -1}, {"seq": True}, {"seq": 7.0}, {"version": 2}, {"kind": "other"},
        {"hash": "a"}, {"hash": "A" * 64}, {"at": "yesterday"}, {"more": 1}, {"key": None},
    ],
)  # fmt: skip
def test_what_is_not_quite_a_checkpoint_is_none(change: dict[str, object]) -> None:
    """Neither another type, nor a field more."""
    fields = json.loads(made().document) | change

    assert not list(find_checkpoints(json.dumps({"anchor": fields, "signature": made().signature})))
    assert read_document(json.dumps(fields, sort_keys=True, separators=(",", ":")), "") is None


def test_a_document_that_is_written_otherwise_is_none() -> None:
    """Else two texts with two digests would be the same checkpoint."""
    assert read_document(made().document.replace(",", ", "), made().signature) is None
    assert read_document(made().document.replace("{", '{"seq":7,', 1), made().signature) is None


@given(st.text(max_size=200))
def test_any_text_can_be_looked_through(text: str) -> None:
    """Nothing in a file makes reading it fail."""
    assert list(find_checkpoints(text + '{"anchor":{' + text)) == []


def test_deep_nesting_is_no_checkpoint() -> None:
    """A file that wants to exhaust the parser is passed over."""
    assert list(find_checkpoints('{"anchor":{"at":' + "[" * 5_000)) == []


def test_only_a_trusted_key_that_was_in_use_is_believed() -> None:
    """Re-signed with another key, or with one from later: refused."""
    since = datetime(2026, 11, 23, tzinfo=UTC)
    keys = (PublicKey(key=KEY.public, until=since), PublicKey(key=OTHER.public, since=since))

    assert believe([made()], keys).count == 1
    assert believe([made(OTHER)], keys).refused  # an old one, signed again with today's key
    assert believe([made(at=since)], keys).refused  # the old key, used after it was put away
    assert believe([made(SigningKey(make_key()))], keys).unknown == 1
    assert believe([made()], ()).unknown == 1


def test_two_signed_anchors_of_one_event_that_differ_are_a_contradiction() -> None:
    """Whoever had the key signed two histories."""
    found = believe([made(), made(hash="b" * 64)], (PublicKey(key=KEY.public),))

    assert found.contradiction is not None


def test_a_signature_is_no_signature_of_another_checkpoint() -> None:
    """A forged one is refused, whatever it names."""
    forged = Checkpoint(**{**vars(made()), "seq": 8})

    trail = believe([forged], (PublicKey(key=KEY.public),))

    assert (trail.count, len(trail.refused), dict(trail.hashes)) == (0, 1, {})


@pytest.mark.parametrize("text", ["", "abc", "A" * 44, "=" * 44, "A" * 43 + "=" + "B" * 43 + "=", "ü"])
def test_what_is_no_key_is_refused_without_quoting_it(text: str) -> None:
    """The text may be a private key that somebody mistyped."""
    with pytest.raises(ValueError, match="32 bytes in base64") as caught:
        SigningKey(text)
    assert not text or text not in str(caught.value)
    with pytest.raises(ValueError, match="32 bytes in base64"):
        check_public_key(text)


def test_a_private_key_does_not_print() -> None:
    """Neither as it is, nor in what holds it."""
    text = make_key()

    assert text not in f"{SigningKey(text)!r} {SigningKey(text)} {vars(SigningKey(text))}"


def test_the_page_shows_how_to_check_a_signature_without_maint() -> None:
    """What stands there is run, and gives the event and its hash."""
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    (block,) = (text for text in page.split("```py\n") if "def head(" in text)
    there: dict[str, Any] = {}
    exec(block.split("```")[0], there)

    assert there["head"](made().line, KEY.public) == f"7:{'a' * 64}"
    with pytest.raises(InvalidSignature):
        there["head"](made().line.replace('"seq":7', '"seq":8'), KEY.public)
    with pytest.raises(InvalidSignature):
        there["head"](made().line, OTHER.public)
