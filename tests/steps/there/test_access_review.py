"""The review of access logs: every line is counted once, whatever is in it, and both engines agree."""

import gzip
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runbooks.steps.there import access_counts, access_duckdb, access_reading, access_review, access_work
from runbooks.steps.there.telling import Teller, Trouble
from tests.steps.there.conftest import Review, asked, line

FAST = {"engine": "duckdb", "worth_it": 0, "live": 0}
PLAIN = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def requests(found: dict[str, Any]) -> dict[str, int]:
    """The requests of each route."""
    return {row["route"]: row["requests"] for row in found["routes"]}


def test_a_line_of_combined_is_understood(review: Review) -> None:
    """Route, status, time, and who was turned away, come from their own places in the line."""
    lines = [
        line("GET /products/401?token=secret HTTP/1.1", 200, "0.401"),
        line("GET /products/7 HTTP/2.0", 404, "1.5"),
        line("POST /login HTTP/1.1", 403, "0.009", client="2001:db8::1", agent="curl/8"),
    ]

    found = review("\n".join([*lines, ""]).encode())

    assert (found["lines"], found["understood"], found["unread"]) == (3, 3, 0)
    assert requests(found) == {"GET /products/:id": 2, "POST /login": 1}
    assert found["routes"][0]["statuses"] == {"200": 1, "404": 1}
    assert (found["routes"][0]["p50"], found["routes"][0]["p99"]) == (401, 1500)
    assert found["clients"] == {"top": [["2001:db8::1", 1]], "others": 0}
    assert found["agents"]["top"] == [["curl/8", 1]]


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/api/v1/users/123/orders/9", "/api/v1/users/:id/orders/:id"),
        ("/u/5f0c8a3e-91d2-4d7b-8a55-0123456789ab/x", "/u/:id/x"),
        ("/static/app.0a1b2c3d.js", "/static/app.:id.js"),
        ("/reset/eyJhbGciOiJIUzI1NiJ9abc", "/reset/:id"),
        ("/mail/ada@example.com", "/mail/:id"),
        ("/a%20b", "/a%20b"),
        ("/deadbeef", "/deadbeef"),
        ("/2026-11-21/report", "/:id-:id-:id/report"),
        ("http://x.example/y?z=1", "http://x.example/y"),
    ],
)
def test_what_is_another_for_every_thing_is_no_route_of_its_own(
    review: Review, path: str, route: str
) -> None:
    """Numbers, uuids, hashes, tokens and addresses are `:id`; versions and words stay."""
    assert requests(review(line(f"GET {path} HTTP/1.1").encode())) == {f"GET {route}": 1}


@pytest.mark.parametrize(
    ("took", "milliseconds"),
    [("0.000", 0), ("0.2999", 299), ("12", 12_000), ("-", None), ("rt=0.250", 250), ("x", None), ("", None)],
)
def test_times_are_cut_to_whole_milliseconds(review: Review, took: str, milliseconds: int | None) -> None:
    """A request without a time is a request all the same."""
    for engine in ({}, FAST):
        found = review(f"{line(took=took)}\n".encode(), **engine)

        assert found["total"]["requests"] == 1
        assert found["total"]["p50"] == (None if milliseconds is None else access_counts.bucket(milliseconds))


def test_percentiles_are_those_of_a_sorted_list(review: Review) -> None:
    """The nearest rank of 1 to 1000 ms, which the seeds' awk never printed."""
    data = "".join(f"{line(took=f'{n / 1000:.3f}')}\n" for n in range(1, 1001)).encode()

    for engine in ({}, {"workers": 2}, FAST):
        total = review(data, **engine)["total"]
        assert (total["p50"], total["p95"], total["p99"], total["mean"]) == (500, 950, 990, 500.5)


def test_lines_that_are_not_understood_are_counted_and_sampled(review: Review) -> None:
    """Garbage, a line of 1 MB, bytes that are no UTF-8, a blank line, and a last line without its end."""
    good = line().encode()
    data = b"\n".join(
        [
            good,
            b"garbage",
            b"x" * 1_000_000,
            good.replace(b"/ HTTP", b"/\xff\xfe HTTP"),
            b"",
            line(user="ada lovelace").encode(),
            line(r"GET /a\"b\" HTTP/1.1").encode(),
            good[: good.index(b"Mozilla")],
        ]
    )

    for engine in ({}, FAST):
        found = review(data, **engine)
        assert (found["lines"], found["understood"], found["unread"]) == (8, 4, 4)
        assert any(sample.startswith("garbage") for sample in found["samples"])
        assert all(len(sample) <= access_counts.SAMPLE for sample in found["samples"])


def test_common_and_lines_with_more_words_are_understood(review: Review) -> None:
    """Lines without referer and agent, and with another quoted word at the end."""
    common = line().partition(' "-" ')[0]
    forwarded = f'{line(took="").strip()} "203.0.113.9" 0.5'

    found = review(f"{common}\n{forwarded}\n".encode())

    assert (found["understood"], found["unread"]) == (2, 0)


def test_other_days_are_outside(review: Review) -> None:
    """What was written before the first day, or after the last one, is counted apart."""
    days = ["14/Nov/2026", "15/Nov/2026", "21/Nov/2026", "22/Nov/2026", "31/Feb/2026"]

    for engine in ({}, FAST):
        found = review("".join(f"{line(day=day)}\n" for day in days).encode(), **engine)
        assert (found["understood"], found["outside"], found["unread"]) == (2, 2, 1)


def test_json_lines_are_understood(review: Review) -> None:
    """The usual names of fields; what is no object, or has no status, is not understood."""
    lines = [
        '{"time": "2026-11-21T06:25:01Z", "status": 200, "uri": "/a/1?b", "method": "get", "took": "0.250"}',
        '{"ts": 1795242301.5, "status": "503", "request": "GET /b HTTP/1.1", "duration": 0.1}',
        '{"time": "2026-11-21T06:25:01Z", "status": 401, "path": "/c", "client_ip": "x", "user_agent": "y"}',
        '{"time": "2026-11-21T06:25:01Z"}',
        "[1]",
        '{"time": "2026-11-01T06:25:01Z", "status": 200}',
    ]

    found = review("\n".join(lines).encode(), format="json")

    assert (found["understood"], found["unread"], found["outside"]) == (3, 2, 1)
    assert requests(found) == {"GET /a/:id": 1, "GET /b": 1, "- /c": 1}
    assert found["clients"]["top"] == [["x", 1]]
    assert found["total"]["p99"] == 250


def test_rotated_and_gzipped_files_are_read_too(review: Review, tmp_path: Path) -> None:
    """Each once; one that is being packed counts by its unpacked twin, another kind of packing is named."""
    row = f"{line()}\n".encode()
    (tmp_path / "access.log.1").write_bytes(row * 2)
    (tmp_path / "access.log.1.gz").write_bytes(b"half")
    (tmp_path / "access.log-20261120.gz").write_bytes(
        gzip.compress(row * 3) + gzip.compress(row * 4) + b"\0\0"
    )
    (tmp_path / "access.log.2.xz").write_bytes(b"?")
    (tmp_path / "other.log").write_bytes(row)

    found = review(row)

    assert (found["understood"], found["files"]) == (10, 3)
    assert (found["unread_files"], found["damaged"]) == (["access.log.2.xz"], [])


def test_a_damaged_gzip_file_is_named(review: Review, tmp_path: Path) -> None:
    """What could be unpacked is counted, and nobody takes it for all."""
    packed = gzip.compress(f"{line()}\n".encode() * 5000)
    (tmp_path / "access.log.1.gz").write_bytes(packed[:-10])
    (tmp_path / "access.log.2.gz").write_bytes(b"no gzip")

    assert review(b"")["damaged"] == ["access.log.1.gz", "access.log.2.gz"]


def test_a_rotation_during_the_pass_loses_and_doubles_nothing(
    review: Review, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files were opened before: renamed, compressed or written to, they are read as they were."""
    row = f"{line()}\n".encode()
    (tmp_path / "access.log.1").write_bytes(row * 100)
    whole = access_review.count

    def rotate_first(*arguments: Any) -> tuple[str, str]:
        (tmp_path / "access.log.1").rename(tmp_path / "access.log.2")
        (tmp_path / "access.log").rename(tmp_path / "access.log.1")
        (tmp_path / "access.log").write_bytes(row * 7)
        with (tmp_path / "access.log.1").open("ab") as late:
            late.write(row)
        (tmp_path / "access.log.2").unlink()
        return whole(*arguments)

    monkeypatch.setattr(access_review, "count", rotate_first)

    assert review(row * 10)["understood"] == 110


def test_a_rotation_between_listing_and_opening_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are listed again; what is rotated without an end is a failure."""
    path = tmp_path / "access.log"
    path.write_bytes(f"{line()}\n".encode())
    opened, turns = access_review._source, iter(range(100))

    def rotate(name: str, short: str) -> Any:
        path.rename(tmp_path / f"access.log.{next(turns)}")
        path.write_bytes(f"{line()}\n".encode())
        return opened(name, short)

    monkeypatch.setattr(access_review, "_source", rotate)

    with pytest.raises(Trouble, match="rotated again and again"):
        access_review.main(asked(path), Teller())


def test_a_log_that_is_cut_while_it_is_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`copytruncate` takes lines away under the reader."""
    path = tmp_path / "access.log"
    path.write_bytes(f"{line()}\n".encode() * 100)
    whole = access_review.count

    def cut_first(*arguments: Any) -> tuple[str, str]:
        os.truncate(path, 1000)
        return whole(*arguments)

    monkeypatch.setattr(access_review, "count", cut_first)

    assert access_review.main(asked(path), Teller())["cut"] == ["access.log"]


def test_what_is_too_much_to_be_kept_apart_is_counted_as_other(
    review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand routes and callers of one request each: bounded, and none is lost."""
    monkeypatch.setattr(access_counts, "MOST_ROUTES", 10)
    monkeypatch.setattr(access_counts, "MOST_CALLERS", 10)
    monkeypatch.setattr(access_reading, "BLOCK", 4096)
    words = [f"{a}{b}{c}" for a in "abcdefghij" for b in "abcdefghij" for c in "abcdefghij"]
    data = "".join(f"{line(f'GET /{word} HTTP/1.1', 401, client=word)}\n" for word in words)

    found = review((data + f"{line('GET /busy HTTP/1.1')}\n" * 50).encode())

    assert found["understood"] == sum(row["requests"] for row in found["routes"]) + found["rest"]["requests"]
    assert found["understood"] == 1050
    assert requests(found)["GET /busy"] == 50
    assert len(found["routes"]) <= 21
    assert sum(count for _, count in found["clients"]["top"]) + found["clients"]["others"] == 1000


def test_too_many_times_are_kept_to_two_digits(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, and the review says that times are coarse."""
    monkeypatch.setattr(access_counts, "MOST_CELLS", 100)
    data = "".join(f"{line(took=f'{n / 1000:.3f}')}\n" for n in range(1000)).encode()

    found = review(data)

    assert found["coarse"]
    assert found["total"]["timed"] == 1000
    assert 940 <= found["total"]["p95"] <= 960


def test_processes_share_a_log_without_losing_a_line(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges that end inside lines: each line is read by one of them."""
    monkeypatch.setattr(access_work, "_WORTH_IT", 0)
    monkeypatch.setattr(access_work, "_PIECE", 1000)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    data = "".join(f"{line(f'GET /{n % 7} HTTP/1.1', 200 + n % 3)}\n" for n in range(2000)).encode()

    alone, together = review(data), review(data, workers=3)

    assert together == alone
    assert together["understood"] == 2000


def test_a_process_that_dies_is_no_result(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed for want of memory, say: nobody gets half a review."""
    monkeypatch.setattr(access_work, "_WORTH_IT", 0)
    monkeypatch.setattr(access_work, "_PIECE", 1000)
    monkeypatch.setattr(access_work, "_read", lambda *_: os.kill(os.getpid(), 9))

    with pytest.raises(Trouble, match="could not be read to its end"):
        review(f"{line()}\n".encode() * 100, workers=2)


def test_only_duckdb_is_asked_for_where_it_is_not(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    """`engine: duckdb` fails and says why; `auto` goes on without it."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    data = f"{line()}\n".encode()

    assert review(data, engine="auto")["engine"] == "base"
    with pytest.raises(Trouble, match="not installed where the log is"):
        review(data, engine="duckdb")


def test_rows_that_are_not_as_many_as_lines_are_not_believed(
    review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What DuckDB drops without a word is found by the number of line breaks, and read again."""
    monkeypatch.setattr(access_duckdb, "_read_again", lambda *_: None)

    found = review(f"{line()}\ngarbage\n{line()}\n".encode() * 20 + f"{line()}\n".encode() * 2000, **FAST)

    assert (found["engine"], found["lines"], found["unread"]) == ("base", 2060, 20)
    assert "not as many" in found["why"]


PIECES = st.sampled_from(
    [
        line().encode(),
        line("GET /x/1?y HTTP/1.1", 403).encode(),
        line(day="01/Jan/2020").encode(),
        line(took="0.5 0.4").encode(),
        b'"',
        b"\\",
        b"\r",
        b"\n",
        b"\n\n",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        "é".encode(),
        b" ",
        b"[21/Nov/2026",
        b"' 200 '",
        b"a,b;c\td",
        b"\n\x01\x02\x01\n",
    ]
)
LOGS = st.lists(st.one_of(PIECES, PIECES, st.binary(max_size=12)), max_size=30).map(b"".join)
#: Lines like most, so that DuckDB is used for those that are not.
ENOUGH = f"{line()}\n".encode() * 700


@PLAIN
@given(LOGS)
def test_every_line_is_counted_once(review: Review, data: bytes) -> None:
    """Whatever the bytes are: understood, not understood and outside are as many as the lines."""
    found = review(data)

    assert found["lines"] == data.count(b"\n") + (data[-1:] not in (b"", b"\n"))
    assert found["understood"] == found["total"]["requests"]


@PLAIN
@given(LOGS, st.integers(1, 60))
def test_pieces_of_any_size_say_the_same(review: Review, data: bytes, size: int) -> None:
    """Blocks, reads and ranges may end anywhere."""
    whole = review(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access_reading, "READ", size)
        patch.setattr(access_work, "_PIECE", 3 * size)
        assert review(data) == whole


@settings(PLAIN, max_examples=60)
@given(LOGS)
def test_both_engines_come_to_the_same(review: Review, data: bytes) -> None:
    """DuckDB's answer is the base engine's, to the last line, whatever the bytes are."""
    base, fast = review(ENOUGH + data), review(ENOUGH + data, **FAST)

    told = {"engine", "why", "samples"}
    assert {k: v for k, v in fast.items() if k not in told} == {
        k: v for k, v in base.items() if k not in told
    }


def test_duckdb_takes_a_log_with_some_dirty_lines(review: Review) -> None:
    """Bytes that are no UTF-8, names with blanks, garbage, a long line, no end: the rest is DuckDB's."""
    good = line().encode()
    dirty = [
        good.replace(b"/ HTTP", b"/\xff HTTP"),
        line(user="ada lovelace").encode(),
        b"garbage",
        access_duckdb._NONE.encode(),
        b'a"b"c"d"e"f"g',
        b"x" * 100_000 + b'"a"b"c"d"e"f',
        b'"' * 300_000,
        line("GET /caf\u00e9 HTTP/1.1", 401, client="\u00e9", agent="\u00e9").encode(),
        line(took="-").encode(),
        good[:60],
    ]

    data = ENOUGH + b"\n".join(dirty)
    base, fast = review(data), review(data, **FAST)

    assert fast["why"] == ""
    assert fast["unread"] == base["unread"] == 6
    assert fast["engine"] == "duckdb"
    assert {**fast, "engine": "", "samples": ()} == {**base, "engine": "", "samples": ()}


@pytest.mark.parametrize("many", ["0.25", "0.25 0.50 upstream"])
@pytest.mark.parametrize(("place", "p50"), [(0, None), (1, 250), (2, 500)])
def test_duckdb_takes_the_time_from_the_same_word(
    review: Review, many: str, place: int, p50: int | None
) -> None:
    """Whether most lines have one word there or several, and some have others than most."""
    lines = [line(took=many)] * 700 + [
        line(took=each) for each in ("0.3", "0.3 0.4 x", " 0.3", "0.3  0.4", "")
    ]
    data = "\n".join(lines).encode()

    base, fast = review(data, time_word=place), review(data, time_word=place, **FAST)

    assert (fast["engine"], fast["why"]) == ("duckdb", "")
    assert {**fast, "engine": ""} == {**base, "engine": ""}
    assert fast["total"]["p50"] == (p50 if " " in many or place < 2 else 300)


def test_what_duckdb_cannot_read_is_read_without_it(review: Review) -> None:
    """A carriage return ends its pass: the base engine reads the file, and the review says why."""
    data = ENOUGH + f"{line(took='0.1')}\r\n".encode()
    base, fast = review(data), review(data, **FAST)

    assert fast["why"].startswith("access.log: ")
    assert {**fast, "why": ""} == base


def test_no_line_makes_duckdb_large(review: Review) -> None:
    """Ten thousand lines of two hundred quotation marks each took gigabytes as columns that are too many."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = review((f"{line()}\n".encode() * 60 + b'"' * 200 + b"\n") * 10_000, **FAST)

    assert (found["engine"], found["unread"]) == ("duckdb", 10_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_the_program_reads_where_there_is_no_maint(tmp_path: Path) -> None:
    """It brings all it needs, and Python 3.9 can read it."""
    import ast
    import json

    from runbooks.steps.sent import program

    path = tmp_path / "access.log"
    path.write_text(f"{line()}\n")
    for module in Path(access_review.__file__).parent.glob("*.py"):
        ast.parse(module.read_text(), feature_version=(3, 9))
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program("access_review")],
        input=json.dumps(asked(path)),
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )

    said = [row for row in ended.stdout.splitlines() if row.startswith("R")]
    assert json.loads(said[0][1:])["understood"] == 1
