"""The chain: nothing in it can be changed unseen, and however many write at the same time, it is one."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from runbooks.records import chain
from runbooks.records.audit import append
from runbooks.records.database import open_database
from runbooks.records.migrate import migrate
from tests.records.by_hand import PROGRAM, ByHand, by_hand
from tests.records.conftest import make_event

MANY = 9
COLUMNS = (*chain.HASHED, "prev", "hash")
places = st.integers(1, MANY)
#: What both databases take as text.
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=80)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def log(engine: Engine, database_url: str) -> str:
    """The URL of a database with a few events of several people: some fields are empty, some not ASCII."""
    for number in range(1, MANY + 1):
        event = make_event(
            object=f"d\u00fc {number}" if number % 3 else "",
            actor_id=f"U{number % 2}",
            actor_name=("Ada", "Bj\u00f6rn", "")[number % 3],
            runbook="vacuum" if number % 2 else "",
            targets=("db", "cache")[: number % 3],
            details={"n": number, "text": '"\n\u2028'},
        )
        with engine.begin() as connection:
            append(connection, event)
    return database_url


def head(hand: ByHand) -> dict[int, str]:
    """The newest event, as somebody wrote it down."""
    last = hand.rows()[-1]
    return {last["seq"]: last["hash"]}


def chained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, with everything computed anew that the chain consists of: by somebody who read the page."""
    prev, made = "0" * 64, []
    for seq, row in enumerate(rows, start=1):
        at = row["at"]
        moment = datetime.fromisoformat(at).replace(tzinfo=UTC) if isinstance(at, str) else at
        values = {**row, "seq": seq, "prev": prev}
        prev = chain.hash_of({**values, "at": moment})
        made.append({**values, "hash": prev})
    return made


def test_the_program_on_the_page_finds_nothing_wrong_with_a_log_as_it_was_written(log: str) -> None:
    """As a process of its own, that imports nothing of Maint, with a head that fits."""
    with by_hand(log) as hand:
        ((seq, known),) = head(hand).items()
    # -I: neither this folder nor the environment say where to find modules.
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, log.removeprefix("sqlite:///"), f"{seq}:{known}"],
        capture_output=True,
        text=True,
        cwd="/",
        timeout=30,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "The chain holds.\n", "")
    assert set(re.findall(r"import (.*)|__import__\(\"(\w+)", PROGRAM)) == {
        ("hashlib, sqlite3, sys", ""),
        ("", "psycopg"),
    }


def test_the_program_on_the_page_ends_with_1_when_something_is_wrong(log: str) -> None:
    """What is wrong is said, here that the end is missing."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, log.removeprefix("sqlite:///"), f"{MANY + 1}:{'a' * 64}"],
        capture_output=True,
        text=True,
        cwd="/",
        timeout=30,
    )

    assert (done.returncode, done.stderr) == (1, f"events after {MANY} are missing\n")


def test_the_page_is_short_enough_to_be_done_again() -> None:
    """Thirty lines of statements, or hardly more."""
    statements = [line for line in PROGRAM.splitlines() if line.strip()]

    assert len(statements) <= 45


@quick
@given(place=places, column=st.sampled_from(COLUMNS), value=words)
def test_any_change_of_a_text_is_found_at_its_event(log: str, place: int, column: str, value: str) -> None:
    """Whatever is put into whichever column of an event: the first event that does not fit is that one, or,
    where its own hash was changed to fit nothing, still that one."""
    assume(column not in ("seq", "at"))
    with by_hand(log) as hand:
        assume(hand.rows()[place - 1][column] != value)
        hand.update("audit_events", {"seq": place}, column, value)

        assert hand.verify().startswith(f"event {place} ")


@quick
@given(place=places, at=st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)))  # noqa: DTZ001 - made one below
def test_any_change_of_a_time_is_found(log: str, place: int, at: datetime) -> None:
    """To the microsecond."""
    with by_hand(log) as hand:
        kept = hand.rows()[place - 1]["at"]
        value = str(at.isoformat(" ", "microseconds")) if isinstance(kept, str) else at.replace(tzinfo=UTC)
        assume(value != kept)
        hand.update("audit_events", {"seq": place}, "at", value)

        assert hand.verify() == f"event {place} was changed"


@pytest.mark.parametrize("variant", [0, 1, 2])
def test_a_time_that_reads_alike_is_found(log: str, variant: int) -> None:
    """The same day before Christ and one without an end, or on SQLite the same written otherwise."""
    with by_hand(log) as hand:
        at = str(hand.rows()[4]["at"])
        alike = [f"{at} BC", "infinity", "-infinity"]
        if log.startswith("sqlite"):
            alike = [at.replace(" ", "T"), f"{at}+00:00", f"{at} "]
        hand.update("audit_events", {"seq": 5}, "at", alike[variant])

        assert hand.verify() == "event 5 was changed"


@quick
@given(place=places, column=st.sampled_from(COLUMNS))
def test_on_sqlite_bytes_do_not_pass_for_a_text(tmp_path: Path, place: int, column: str) -> None:
    """SQLite keeps bytes in a column of texts, and shows them alike."""
    assume(column != "seq")
    url = f"sqlite:///{tmp_path}/bytes.db"
    if not Path(tmp_path / "bytes.db").exists():
        engine = open_database(url)
        migrate(engine)
        with engine.begin() as connection:
            append(connection, *(make_event(actor_name="Ada") for _ in range(MANY)))
        engine.dispose()
    with by_hand(url) as hand:
        assert hand.verify() == ""
        hand.update("audit_events", {"seq": place}, column, str(hand.rows()[place - 1][column]).encode())

        assert hand.verify().startswith(f"event {place} ")


@quick
@given(place=places, value=st.integers(-(2**40), 2**40))
def test_a_changed_number_is_found(log: str, place: int, value: int) -> None:
    """An event with another number leaves a gap, or stands where none may."""
    assume(not 1 <= value <= MANY)
    with by_hand(log) as hand:
        known = head(hand)
        hand.update("audit_events", {"seq": place}, "seq", value)

        assert hand.verify(known) != ""


@quick
@given(place=places)
def test_any_removed_event_is_found(log: str, place: int) -> None:
    """In the middle by the gap, at the end by the head that is known."""
    with by_hand(log) as hand:
        known, rows = head(hand), hand.rows()
        hand.put([row for row in rows if row["seq"] != place])

        expected = f"event {place} is missing" if place < MANY else f"events after {MANY - 1} are missing"
        assert hand.verify(known) == expected


@quick
@given(place=places)
def test_a_removed_event_whose_gap_was_closed_is_found(log: str, place: int) -> None:
    """Numbering the later ones anew does not help."""
    with by_hand(log) as hand:
        known, rows = head(hand), hand.rows()
        left = [row for row in rows if row["seq"] != place]
        hand.put([{**row, "seq": seq} for seq, row in enumerate(left, start=1)])

        assert hand.verify(known) != ""


@quick
@given(place=places, like=places, fitting=st.booleans())
def test_any_inserted_event_is_found(log: str, place: int, like: int, fitting: bool) -> None:
    """Between two others, even when it was made to follow the one before it."""
    with by_hand(log) as hand:
        rows = hand.rows()
        new = {**rows[like - 1], "id": "inserted", "seq": place}
        moved = [*rows[: place - 1], new, *({**row, "seq": row["seq"] + 1} for row in rows[place - 1 :])]
        hand.put(chained(moved[:place]) + moved[place:] if fitting else moved)

        assert hand.verify().startswith(f"event {place + 1 if fitting else place} ")


@quick
@given(order=st.permutations(range(MANY)))
def test_any_other_order_is_found(log: str, order: list[int]) -> None:
    """Two that changed places, or all of them."""
    assume(order != sorted(order))
    with by_hand(log) as hand:
        rows = hand.rows()
        hand.put([{**rows[old], "seq": seq} for seq, old in enumerate(order, start=1)])

        first = next(seq for seq, old in enumerate(order, start=1) if old != seq - 1)
        assert hand.verify().startswith(f"event {first} ")


@quick
@given(left=st.integers(0, MANY - 1))
def test_a_cut_off_end_is_found_by_a_known_head_and_not_without(log: str, left: int) -> None:
    """What is left is a right chain: this is what anchors are for."""
    with by_hand(log) as hand:
        known, rows = head(hand), hand.rows()
        hand.put(rows[:left])

        assert hand.verify() == ""
        assert hand.verify(known) == f"events after {left} are missing"


@quick
@given(place=places, value=words)
def test_a_log_that_was_written_anew_is_found_by_a_known_head(log: str, place: int, value: str) -> None:
    """Who can compute the page's hashes can make a chain that fits: not to a head that is known."""
    with by_hand(log) as hand:
        known, rows = head(hand), hand.rows()
        assume(rows[place - 1]["object"] != value)
        rows[place - 1]["object"] = value
        hand.put(chained(rows))

        assert hand.verify() == ""
        assert hand.verify(known) == f"event {MANY} is not the one that it was"


@quick
@given(
    which=st.integers(0, 3),
    column=st.sampled_from(("mark", "salt", "actor_kind", "actor_id", "name")),
    value=words,
    removed=st.booleans(),
)
def test_any_change_of_a_name_is_found(log: str, which: int, column: str, value: str, removed: bool) -> None:
    """Also when it is said to have been removed."""
    with by_hand(log) as hand:
        row = hand.rows("audit_names")[which]
        assume(row[column] != value)
        hand.update("audit_names", {"mark": row["mark"]}, column, value)
        if removed:
            mark = value if column == "mark" else row["mark"]
            hand.update("audit_names", {"mark": mark}, "removed_at", "2026-11-22 00:00:00.000000")

        assert hand.verify() != ""


def test_a_name_may_be_forgotten_and_not_taken_away(log: str) -> None:
    """The chain holds without names and salts, as long as their marks stand; without a mark it does not."""
    with by_hand(log) as hand:
        names = hand.rows("audit_names")
        gone = {"name": "", "salt": "", "removed_at": "2026-11-22 00:00:00.000000"}
        hand.put([row | gone for row in names], "audit_names")
        forgotten = hand.verify()
        hand.put(names[1:], "audit_names")

        assert (forgotten, "lost the name" in hand.verify()) == ("", True)


def test_what_python_computes_is_what_the_database_did(log: str) -> None:
    """`hash_of` and the function in PostgreSQL agree, on the texts that they were given."""
    with by_hand(log) as hand:
        assert chained(hand.rows()) == hand.rows()


def test_times_never_go_back_along_the_chain(engine: Engine, database_url: str) -> None:
    """A replica whose clock is behind does not stand before what it followed."""
    for year in (2030, 2020, 2031, 2025):
        with engine.begin() as connection:
            append(connection, make_event(at=datetime(year, 1, 1, tzinfo=UTC)))

    with by_hand(database_url) as hand:
        assert [str(row["at"])[:4] for row in hand.rows()] == ["2030", "2030", "2031", "2031"]


WRITER = """
import random, sys, threading
from sqlalchemy import text
from runbooks.records.audit import Event, append
from runbooks.records.database import open_database

url, name, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
engine = open_database(url)
said = threading.Lock()

def write(thread):
    for number in range(10_000):
        id_ = f"{name}-{thread}-{number}"
        fails = random.random() < 0.2
        try:
            with engine.begin() as connection:
                events = [
                    Event(
                        id=f"{id_}{part}", actor_kind="slack", actor_id=f"U{thread}", action="a",
                        outcome="ok", actor_name=f"N{number % 7}", targets=("db",) * (number % 2),
                    )
                    for part in "ab"[: 1 + number % 2]
                ]
                append(connection, *events)
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            words = ["undone", *(event.id for event in events)]
        else:
            words = ["done", *(event.id for event in events)]
        with said:
            print(*words, flush=True)

for thread in range(threads):
    threading.Thread(target=write, args=(thread,), daemon=True).start()
sys.stdin.readline()
"""


def said_by(writer: subprocess.Popen[str], lines: int) -> tuple[set[str], set[str]]:
    """The events that it was acknowledged, and those that it undid; it is killed when it has said so much."""
    assert writer.stdout is not None
    said = [writer.stdout.readline() for _ in range(lines)]
    writer.kill()
    said += [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    told = [line.split() for line in said]
    return tuple({id_ for what, *ids in told if what == word for id_ in ids} for word in ("done", "undone"))  # type: ignore[return-value]


def test_four_processes_never_fork_the_chain(
    engine: Engine, database_url: str, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    """Killed in the middle and followed by others, with transactions that are undone in between: what was
    acknowledged stands, what was undone does not, and all of it is one chain."""
    threads = "8" if database_url.startswith("postgresql") else "2"
    done, undone = set(), set()
    for round_ in range(2):
        writers = [spawn(WRITER, database_url, f"w{round_}{number}", threads) for number in range(4)]
        for stands, does_not in [said_by(writer, 40) for writer in writers]:
            done |= stands
            undone |= does_not

    with by_hand(database_url) as hand:
        ids = {row["id"] for row in hand.rows()}
        assert hand.verify() == ""
    assert len(done) >= 100
    assert undone
    assert done <= ids
    assert not undone & ids


def crash(server: Any) -> None:
    """Ends a PostgreSQL without letting it write down anything more; returns when it is gone."""
    postmaster = int((server.pgdata / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGQUIT)
    while Path(f"/proc/{postmaster}").exists() and "Z" not in _state_of(postmaster):
        time.sleep(0.02)


def _state_of(process: int) -> str:
    """The letter that Linux gives to what a process does."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_what_was_acknowledged_survives_a_crash_of_the_server(
    own_postgres: Any, spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """PostgreSQL stopped as by a crash, again and again, while events are written: every acknowledged one is
    there, though the lock of the chain does not wait for the disk."""
    url = own_postgres.get_uri()
    engine = open_database(url)
    migrate(engine)
    engine.dispose()
    done: set[str] = set()
    for round_ in range(4):
        writer = spawn(WRITER, url, f"c{round_}", "4")
        assert writer.stdout is not None
        early = [writer.stdout.readline() for _ in range(40)]
        crash(own_postgres)
        done |= {id_ for line in early if line.startswith("done") for id_ in line.split()[1:]}
        done |= said_by(writer, 0)[0]
        own_postgres.ensure_postgres_running()
    with by_hand(url) as hand:
        assert hand.verify() == ""
    with psycopg.connect(url) as connection:
        ids = {row[0] for row in connection.execute("SELECT id FROM audit_events")}

    assert done <= ids
