"""Nothing can be done to the log that its verification does not find, and name."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from runbooks.proof.checkpoint import Checkpoint
from runbooks.proof.signing import PublicKey, SigningKey, make_key
from runbooks.records import verify_rows
from runbooks.records.database import reading
from runbooks.records.misfit import How
from runbooks.records.verify import Verified, verify
from tests.records.conftest import NOON
from tests.records.tampering import anchor, as_owner, fill, put, rehash, replace_all, rows

KEY = SigningKey(make_key())
KEYS = (PublicKey(key=KEY.public),)
LATER = NOON + timedelta(days=1)


def checked(engine: Engine, *anchors: Checkpoint) -> Verified:
    """What the verification finds."""
    return verify(engine, keys=KEYS, anchors=anchors)


def first(found: Verified) -> tuple[int, How]:
    """Of the first that does not fit: which, and how."""
    return found.misfits[0].seq, found.misfits[0].how


def test_an_untouched_log_fits(engine: Engine) -> None:
    """With anchors in it and from outside, and progress on the way."""
    fill(engine)
    outside = anchor(engine, KEY, LATER)
    steps: list[tuple[int, int]] = []

    found = verify(engine, keys=KEYS, anchors=[outside], progress=lambda *done: steps.append(done))

    assert found.fits
    assert (found.events, found.first, found.last) == (13, 1, 13)
    assert (found.anchored_to, found.confirmed, found.signed_to) == (12, 1, 12)
    assert steps == [(13, 13)]


def test_an_empty_log_fits(engine: Engine) -> None:
    """There is nothing that could be wrong."""
    assert checked(engine).fits


@pytest.mark.parametrize(
    "column",
    [
        "id", "actor_kind", "actor_id", "actor_mark", "team", "action", "object", "outcome", "channel",
        "channel_name", "correlation", "permalink", "runbook", "targets", "details", "prev", "hash",
    ],
)  # fmt: skip
def test_a_change_of_any_text_is_found(engine: Engine, column: str) -> None:
    """Where it is, and that it is a change."""
    fill(engine)
    with as_owner(engine) as connection:
        connection.execute(text(f"UPDATE audit_events SET {column} = {column} || 'x' WHERE seq = 5"))

    assert first(checked(engine)) == (5, How.CHANGED)


@pytest.mark.parametrize(
    "at", ["2026-03-01 12:04:00.000001", "0044-03-01 12:04:00.000000", "9999-12-31 00:00:00"]
)
def test_a_change_of_the_time_is_found(engine: Engine, at: str) -> None:
    """Even by a microsecond."""
    fill(engine)
    with as_owner(engine) as connection:
        connection.execute(text(f"UPDATE audit_events SET at = '{at}' WHERE seq = 5"))

    assert first(checked(engine)) == (5, How.CHANGED)


def test_a_time_before_the_year_one_is_found(engine: Engine) -> None:
    """PostgreSQL writes 44 BC as it writes the year 44."""
    if engine.dialect.name == "sqlite":
        pytest.skip("has no such times")
    fill(engine, begin=NOON.replace(year=44))
    assert checked(engine).fits
    with as_owner(engine) as connection:
        connection.execute(
            text("UPDATE audit_events SET at = (at::text || ' BC')::timestamptz WHERE seq = 1")
        )

    assert first(checked(engine)) == (1, How.CHANGED)


@pytest.mark.parametrize(
    "value", ["CAST(object AS BLOB)", "CAST(12 AS BLOB)", "substr(at, 1, 10) || 'T' || substr(at, 12)"]
)
def test_a_change_of_the_type_or_the_spelling_is_found(engine: Engine, value: str) -> None:
    """SQLite keeps what it is given, of whatever type."""
    if engine.dialect.name == "postgresql":
        pytest.skip("has types")
    fill(engine)
    column = "at" if "at" in value.split("(")[1] else "object"
    with as_owner(engine) as connection:
        connection.execute(text(f"UPDATE audit_events SET {column} = {value} WHERE seq = 5"))

    assert first(checked(engine)) == (5, How.CHANGED)


def test_a_boundary_between_two_columns_cannot_be_moved(engine: Engine) -> None:
    """Lengths are hashed too."""
    fill(engine)
    with as_owner(engine) as connection:
        connection.execute(
            text(
                "UPDATE audit_events SET action = action || substr(object, 1, 1), object = substr(object, 2)"
            )
        )

    assert first(checked(engine)) == (1, How.CHANGED)


@pytest.mark.parametrize(("which", "found"), [("seq = 5", 5), ("seq BETWEEN 5 AND 7", 5), ("seq <= 3", 1)])
def test_a_removal_is_found(engine: Engine, which: str, found: int) -> None:
    """The first that is not there is named."""
    fill(engine)
    with as_owner(engine) as connection:
        connection.execute(text(f"DELETE FROM audit_events WHERE {which}"))

    assert first(checked(engine)) == (found, How.REMOVED)


def test_a_removal_that_was_numbered_over_is_found(engine: Engine) -> None:
    """No gap is left, and yet."""
    fill(engine)
    with as_owner(engine) as connection:
        connection.execute(text("DELETE FROM audit_events WHERE seq = 5"))
        for seq in range(6, 13):
            connection.execute(text(f"UPDATE audit_events SET seq = {seq - 1} WHERE seq = {seq}"))

    assert first(checked(engine)) == (5, How.REMOVED)


def test_an_insertion_is_found(engine: Engine) -> None:
    """An event that follows the one before it as it should: but the rest does not follow it."""
    fill(engine)
    with as_owner(engine) as connection:
        events = rows(connection)
        (forged,) = rehash([{**events[3], "id": "forged"}], first=5, prev=events[3]["hash"])
        later = [{**event, "seq": event["seq"] + 1} for event in events[4:]]
        replace_all(connection, [*events[:4], forged, *later])

    assert first(checked(engine)) == (5, How.INSERTED)


def test_a_swap_is_found(engine: Engine) -> None:
    """Two events at each other's place."""
    fill(engine)
    with as_owner(engine) as connection:
        for old, new in ((5, -5), (6, 5), (-5, 6)):
            connection.execute(text(f"UPDATE audit_events SET seq = {new} WHERE seq = {old}"))

    found = checked(engine)

    assert first(found) == (5, How.REORDERED)
    assert "event 6 stands at 5, and event 5 at 6" in found.misfits[0].text


def test_swapped_segments_are_found(engine: Engine) -> None:
    """Whole stretches change places, each whole in itself."""
    fill(engine)
    with as_owner(engine) as connection:
        events = rows(connection)
        moved = [*events[:3], *events[6:9], *events[3:6], *events[9:]]
        replace_all(connection, [{**event, "seq": seq} for seq, event in enumerate(moved, 1)])

    assert first(checked(engine)) == (4, How.REORDERED)


def test_an_event_that_was_changed_and_hashed_anew_is_found_by_the_next(engine: Engine) -> None:
    """Its own hash fits; but it is not the one that the next event names."""
    fill(engine)
    with as_owner(engine) as connection:
        events = rows(connection)
        events[4:5] = rehash([{**events[4], "object": "else"}], first=5, prev=events[3]["hash"])
        replace_all(connection, events)

    assert first(checked(engine)) == (5, How.CHANGED)


def test_a_cut_at_the_end_is_found_by_an_anchor(engine: Engine) -> None:
    """From outside, also when everything that the database says of it is cut off too."""
    fill(engine)
    outside = anchor(engine, KEY, LATER)
    with as_owner(engine) as connection:
        connection.execute(text("DELETE FROM audit_events WHERE seq > 8"))
        connection.execute(text("DELETE FROM audit_checkpoints"))

    assert checked(engine).fits  # nobody who does not know better can tell
    found = checked(engine, outside)
    assert first(found) == (9, How.CUT_OFF)
    assert "at least 4 events were cut off" in found.misfits[0].text


def test_an_emptied_log_is_found_by_an_anchor(engine: Engine) -> None:
    """Nothing is left, and somebody knows that there was something."""
    fill(engine)
    outside = anchor(engine, KEY, LATER)
    with as_owner(engine) as connection:
        connection.execute(text("DELETE FROM audit_events"))

    assert first(checked(engine, outside)) == (1, How.CUT_OFF)


def test_a_rewritten_log_is_found_by_an_anchor(engine: Engine) -> None:
    """Every hash made anew: the chain holds, and is another one."""
    fill(engine)
    early = anchor(engine, KEY, LATER)
    fill(engine, begin=LATER)
    outside = anchor(engine, KEY, LATER + timedelta(days=1))
    with as_owner(engine) as connection:
        events = rows(connection)
        events[14]["object"] = "else"
        told = events.pop()  # what tells of the second anchor
        assert told["action"] == "audit.anchored"
        replace_all(connection, [*events[:14], *rehash(events[14:], first=15, prev=events[13]["hash"])])
        connection.execute(text(f"DELETE FROM audit_checkpoints WHERE seq = {outside.seq}"))

    assert checked(engine, early).fits  # it was made before what was rewritten
    assert first(checked(engine, early, outside)) == (early.seq + 1, How.REWRITTEN)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_checkpoints SET seq = seq - 1",
        "UPDATE audit_checkpoints SET hash = previous",
        "UPDATE audit_checkpoints SET document = replace(document, '12', '11')",
        "UPDATE audit_checkpoints SET document = replace(document, ',', ', ')",
        "UPDATE audit_checkpoints SET signature = 'AAAA'",
        "UPDATE audit_checkpoints SET key_id = 'AAAA'",
        "UPDATE audit_checkpoints SET kind = 'prune'",
        "UPDATE audit_checkpoints SET count = 3",
        "DELETE FROM audit_checkpoints",
    ],
)
def test_a_change_of_a_checkpoint_is_found(engine: Engine, change: str) -> None:
    """And its removal, for the log tells of it."""
    fill(engine)
    anchor(engine, KEY, LATER)
    with as_owner(engine) as connection:
        connection.execute(text(change))

    assert How.CHECKPOINT in {each.how for each in checked(engine).misfits}


def test_a_checkpoint_that_is_missing_between_others_is_found(engine: Engine) -> None:
    """Each names the one before it."""
    fill(engine)
    for day in range(3):
        anchor(engine, KEY, LATER + timedelta(days=day))
    with as_owner(engine) as connection:
        connection.execute(text("DELETE FROM audit_checkpoints WHERE seq = 13"))

    assert How.CHECKPOINT in {each.how for each in checked(engine).misfits}


def test_a_checkpoint_that_was_signed_again_with_another_key_is_found(engine: Engine) -> None:
    """It fits its signature, and nobody trusts who signed."""
    fill(engine)
    thief = SigningKey(make_key())
    anchor(engine, thief, LATER)

    assert first(checked(engine)) == (12, How.CHECKPOINT)
    unknown = verify(engine)
    assert (unknown.fits, unknown.unknown_keys) == (True, 1)  # without keys: not believed, and not accused


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_names SET name = 'Eve' WHERE name = 'Ada'",
        "UPDATE audit_names SET salt = 'x' WHERE name = 'Ada'",
        "UPDATE audit_names SET actor_id = 'U9' WHERE name = 'Ada'",
        "UPDATE audit_names SET name = '', salt = '', removed_at = '2026-01-01' WHERE name = 'Ada'",
        "DELETE FROM audit_names WHERE name = 'Ada'",
    ],
)
def test_a_change_of_a_name_is_found(engine: Engine, change: str) -> None:
    """Who did it is as good as what was done."""
    fill(engine)
    with as_owner(engine) as connection:
        connection.execute(text(change.replace("'2026-01-01'", "'2026-01-01 00:00:00.000000'")))

    assert first(checked(engine))[1] == How.NAME


def test_what_does_not_fit_is_found_whatever_stretch_it_is_in(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the seams too."""
    fill(engine)
    monkeypatch.setattr("runbooks.records.verify.STRETCH", 4)
    monkeypatch.setattr(verify_rows, "AT_A_TIME", 3)
    assert checked(engine).fits
    for seq in range(1, 13):
        with as_owner(engine) as connection:
            events = rows(connection)
            connection.execute(text(f"DELETE FROM audit_events WHERE seq = {seq}"))
        want = (seq, How.REMOVED) if seq < 12 else None  # the last is for an anchor to find
        found = checked(engine)
        assert (first(found) if found.misfits else None) == want
        with as_owner(engine) as connection:
            put(connection, events[seq - 1])


def test_two_processes_find_what_one_finds(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches are read at the same time, and joined in their order."""
    fill(engine, 40)
    monkeypatch.setattr("runbooks.records.verify.STRETCH", 7)
    assert verify(engine, keys=KEYS, processes=2) == verify(engine, keys=KEYS)
    with as_owner(engine) as connection:
        events = rows(connection)
        events[14:15] = rehash([{**events[14], "object": "else"}], first=15, prev=events[13]["hash"])
        replace_all(connection, events)

    found = verify(engine, keys=KEYS, processes=2)

    assert first(found) == (15, How.CHANGED)  # seen at the seam: event 16 does not follow it
    assert found == verify(engine, keys=KEYS)


def test_verification_changes_nothing(engine: Engine) -> None:
    """It only reads."""
    fill(engine)
    with reading(engine) as connection:
        before: list[dict[str, Any]] = rows(connection)
    checked(engine)
    with reading(engine) as connection:
        assert rows(connection) == before
