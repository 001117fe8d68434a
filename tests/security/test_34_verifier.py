"""34: the verification is not fooled. Also kept by tests/records/test_verify.py,
tests/records/test_retention.py, tests/records/test_chain.py, tests/proof and
tests/scenario/test_audit_proof.py."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from runbooks.proof.checkpoint import Checkpoint, find_checkpoints
from runbooks.proof.signing import PublicKey, SigningKey, make_key
from runbooks.records.verify import verify
from tests.records.conftest import NOON
from tests.records.tampering import anchor, as_owner, fill, rehash, replace_all, rows

OURS, THEIRS = SigningKey(make_key()), SigningKey(make_key())
KEYS = (PublicKey(key=OURS.public),)
LATER = NOON + timedelta(days=1)


def _cut_off_the_end(engine: Engine) -> None:
    with as_owner(engine) as connection:
        connection.execute(text("DELETE FROM audit_events WHERE seq > 9"))


def _cut_off_the_end_with_its_checkpoint(engine: Engine) -> None:
    with as_owner(engine) as connection:
        connection.execute(text("DELETE FROM audit_events WHERE seq > 9"))
        connection.execute(text("DELETE FROM audit_checkpoints"))


def _swap_two_segments(engine: Engine) -> None:
    with as_owner(engine) as connection:
        events = rows(connection)
        replace_all(connection, rehash([*events[:2], *events[6:9], *events[2:6], *events[9:]]))


def _take_the_beginning_away_and_number_anew(engine: Engine) -> None:
    with as_owner(engine) as connection:
        replace_all(connection, rehash(rows(connection)[3:]))


def _write_all_anew(engine: Engine) -> None:
    with as_owner(engine) as connection:
        events = [
            {**event, "outcome": "ok", "actor_id": "U9", "actor_mark": ""} for event in rows(connection)
        ]
        replace_all(connection, rehash(events))


def _sign_the_old_checkpoint_again(engine: Engine) -> None:
    with as_owner(engine) as connection:
        replace_all(connection, rehash([*rows(connection)[:5], *rows(connection)[6:]]))
        head = rows(connection)[-1]
        document, signature = connection.execute(
            text("SELECT document, signature FROM audit_checkpoints")
        ).one()
        (old,) = find_checkpoints(f'{{"anchor":{document},"signature":"{signature}"}}')
        new = replace(old, seq=head["seq"], count=head["seq"], hash=head["hash"]).signed(THEIRS)
        connection.execute(
            text("UPDATE audit_checkpoints SET document = :d, signature = :s, hash = :h, seq = :n"),
            {"d": new.document, "s": new.signature, "h": new.hash, "n": new.seq},
        )


HOSTILE: tuple[Callable[[Engine], None], ...] = (
    _cut_off_the_end,
    _cut_off_the_end_with_its_checkpoint,
    _swap_two_segments,
    _take_the_beginning_away_and_number_anew,
    _write_all_anew,
    _sign_the_old_checkpoint_again,
)


@pytest.mark.parametrize("attack", HOSTILE)
def test_it_is_found_by_an_anchor_that_was_kept(engine: Engine, attack: Callable[[Engine], None]) -> None:
    """Whatever was done to the database, by whoever owns it."""
    fill(engine)
    kept = anchor(engine, OURS, LATER)
    assert verify(engine, keys=KEYS, anchors=[kept]).fits

    attack(engine)

    assert not verify(engine, keys=KEYS, anchors=[kept]).fits


@pytest.mark.parametrize(
    "forge",
    [
        lambda kept: kept.signed(THEIRS),
        lambda kept: replace(kept, hash="0" * 64),
        lambda kept: replace(kept, hash="0" * 64).signed(THEIRS),
        lambda kept: replace(kept, kind="prune"),
        lambda kept: replace(kept, signature=""),
        lambda kept: replace(kept, signature="A" * 88),
    ],
)
def test_a_forged_proof_proves_nothing(engine: Engine, forge: Callable[[Checkpoint], Checkpoint]) -> None:
    """It confirms no event, and neither does it bring a log down that is whole."""
    fill(engine)
    kept = anchor(engine, OURS, LATER)

    found = verify(engine, keys=KEYS, anchors=[forge(kept)])

    assert found.confirmed == 0


@pytest.mark.parametrize(
    "text_",
    ["", "{", "[]", '{"anchor":{}}', '{"anchor":[],"signature":""}', "\ud800", '{"anchor":' * 3000, "null"],
)
def test_what_is_no_proof_is_none(text_: str) -> None:
    """And raises nothing."""
    assert list(find_checkpoints(text_)) == []
    assert json.dumps(text_)
