"""DuckDB as an accelerator: it counts what lines have in common, and every line that it does not take as it
should is read by the rules in access_nginx.py. What its rows and the line breaks in the file do not agree on,
is not believed: that file is read again without it.

Needs duckdb where the log is; without it, and for other formats, the log is read as fast as Python can.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from runbooks.steps.there.access_counts import Counts
from runbooks.steps.there.access_nginx import PARTS, NginxLines, agent_of, client_of
from runbooks.steps.there.access_reading import LONGEST, READ, Lines, Source, line_start
from runbooks.steps.there.access_words import LONGEST_ROUTE, Times, route_of
from runbooks.steps.there.access_work import Found
from runbooks.steps.there.access_work import count as count_plainly
from runbooks.steps.there.telling import Trouble

#: Bytes from which it is worth its start.
WORTH_IT = 64 * 1024 * 1024
#: What it may hold; it writes nothing to any disk. With its own start that is some 150 MB.
_MEMORY = "90MB"
_BUFFER = 8_000_000
#: Requests with different first lines that are translated into routes.
_MOST_REQUESTS = 150_000
#: Seconds in which a log was written to that is not in peace now.
_LIVE = 30.0
#: Lines of a sample that have to be like most: one in so many may not.
_SAMPLE, _ODD = 256 * 1024, 20
#: Pieces of that size from which frequent requests are learnt, and lines of each whose ends are looked at.
_SAMPLES, _MOST_KNOWN, _TAILS = 128, 60_000, 20

#: A line that DuckDB takes for none: by itself that would be an empty one, and they are many.
_NONE = "\x01\x02\x01"

#: One line is one column: what parts a line in two would be an error for each part, as long as the line.
#: Of requests that are not known yet, numbers between slashes are made the same: their route is. What few
#: lines have shares one column, between quotes, which no part has: each column is compared for every line.
#: What is not needed of a line is left behind before its route is looked up, or it would be carried along.
#: Of a text, characters are counted; of a blob bytes, as access_nginx.py does.
_SCAN = """
create temp table counted as
select fits, status, took, route,
       case when fits and route is null
            then regexp_replace(request, '/[0-9]+([/ ]|$)', '/0\\1', 'g') || coalesce(few, '""') else few
       end as rest,
       count(*) as n
from (select fits, left(part[3], 5) as status, {took} as took,
             case when contains(part[2], '?') then split_part(part[2], '?', 1) else part[2] end as request,
             case when not fits then coalesce(line, '{none}')
                  when left(part[3], 5) in (' 401 ', ' 403 ')
                  then concat('"', split_part(part[1], ' ', 1), '"', part[6])
             end as few
      from (select line, part, coalesce(len(part) = 7 and part[5] = ' ' and strlen(line) <= {longest}
                     and encode(part[1])[-29:-18] in ({days}), false) as fits
            from (select line, string_split(line, '"') as part
                  from read_csv('{path}', auto_detect = false, header = false, delim = '\x01\x02\x03\x04',
                      quote = '', escape = '', new_line = '\\n', compression = 'none',
                      nullstr = '{none}',
                      store_rejects = true, rejects_limit = 0,
                      buffer_size = {buffer}, max_line_size = {longest},
                      columns = {{'line': 'VARCHAR'}})))) as lines
left join known using (request)
group by all
"""


#: The number of a request's route, known before or learnt afterwards.
_ROUTE = "coalesce(counted.route, rare.route)"
_FROM = """from counted left join rare on counted.route is null and rare.request = split_part(rest, '"', 1)"""
#: Where most lines have what they request, up to its `?`.
_FIRST = re.compile(rb'\] "([^"?\n]*)')
_NUMBERS = re.compile(r"/[0-9]+(?=[/ ]|$)")


_Reads = Callable[[bytes], "int | None"]


class _Doubt(Exception):
    """Its answer cannot be believed, and why."""


def count(
    sources: list[Source], asked: dict[str, Any], told: Callable[[int], None], found: Found
) -> tuple[str, str]:
    """Counts all lines; says which engine has done it, and what kept DuckDB from it. Raises Trouble."""
    accelerated, why = [], ""
    if asked["engine"] != "base":
        fast, why = _import()
        if fast is None and asked["engine"] == "duckdb":
            raise Trouble(why)
        reasons = [(each, why or _unfit(each, asked)) for each in sources]
        accelerated = [each for each, reason in reasons if not reason]
        why = next((reason for _, reason in reasons if reason), "")
    # Before DuckDB has threads: a process that has some is not to be divided.
    count_plainly([each for each in sources if each not in accelerated], asked, told, found)
    believed = 0
    for source in accelerated:
        part = Found()
        try:
            _scan(fast, source, asked, part.counts)
        except (_Doubt, fast.Error) as error:
            why = f"{source.name}: {str(error).splitlines()[0]}"
            part = Found()
            count_plainly([source], {**asked, "workers": 1}, told, part)
        else:
            believed += 1
            told(source.size)
        found.counts.take(part.counts)
        found.cut |= part.cut
    return ("duckdb" if believed else "base"), why


def _import() -> tuple[Any, str]:
    try:
        import duckdb
    except ImportError:
        return None, "duckdb is not installed where the log is"
    return duckdb, ""


def _unfit(source: Source, asked: dict[str, Any]) -> str:
    """Why DuckDB is not to read it; empty when it is."""
    if asked["format"] != "nginx":
        return "DuckDB reads no lines of JSON here"
    if source.packed:
        return f"{source.name} is packed"
    if source.size < asked.get("worth_it", WORTH_IT):
        return f"{source.name} is small"
    if time.time() - os.fstat(source.file).st_mtime < asked.get("live", _LIVE):
        return f"{source.name} is being written to"
    sample = os.pread(source.file, _SAMPLE, 0)
    lines = sample.split(b"\n")[:-1]
    odd = sum(line.count(b'"') != PARTS - 1 for line in lines)
    if sample.startswith(b"\xef\xbb\xbf") or odd * _ODD > len(lines):
        return f"{source.name} has lines unlike nginx's combined"
    return ""


def _scan(fast: Any, source: Source, asked: dict[str, Any], counts: Counts) -> None:
    requests, one_word = _sampled(source)
    took, read = _took(asked, one_word)
    query = _SCAN.format(
        took=took,
        days=", ".join(f"'{day}'::blob" for day in _days(asked)),
        path=f"/proc/{os.getpid()}/fd/{source.file}",
        buffer=_BUFFER,
        longest=LONGEST,
        none=_NONE,
    )
    config = {"threads": asked["workers"], "memory_limit": _MEMORY, "temp_directory": ""}
    with (
        _Lines(source) as lines,
        fast.connect(config={**config, "preserve_insertion_order": False}) as database,
    ):
        database.execute("set enable_progress_bar = false")  # standard output is ours
        # It would take the log for small, and put all of it into the table that is probed.
        database.execute("set disabled_optimizers = 'join_order,build_side_probe_side'")
        routes = _Routes()
        routes.learn(database, "known", requests)
        database.execute(query)
        strange = database.execute(
            "select count(*) from counted where fits and not regexp_full_match(status, ' [1-9][0-9][0-9] ')"
        ).fetchone()[0]
        if strange:
            raise _Doubt(f"{strange} kinds of lines have no status where it is looked for")
        _add_requests(database, read, routes, counts)
        _add_refused(database, counts)
        _read_again(database, source, asked, counts)
        many = lines.count()
    if counts.lines != many or os.fstat(source.file).st_size != source.size:
        raise _Doubt("its rows are not as many as the lines: it is read again without DuckDB")


def _days(asked: dict[str, Any]) -> list[str]:
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    days = [date.fromordinal(each) for each in range(asked["first_day"], asked["last_day"] + 1)]
    return [f"[{day.day:02}/{names[day.month - 1]}/{day.year:04}" for day in days]


def _sampled(source: Source) -> tuple[list[str], bool]:
    """Pieces from all over the log: the first lines of requests, without what follows `?`, and whether one
    word follows most user agents. With their routes known, there are few things to be told apart while it is
    read."""
    found: set[bytes] = set()
    looked = odd = 0
    step = max(_SAMPLE, source.size // _SAMPLES)
    for at in range(0, source.size, step):
        piece = os.pread(source.file, _SAMPLE, at)
        found.update(_FIRST.findall(piece))
        tails = [line.rpartition(b'"')[2] for line in piece.split(b"\n", _TAILS)[1:_TAILS]]
        looked += len(tails)
        odd += sum(tail.count(b" ") != 1 for tail in tails)
        if len(found) > _MOST_KNOWN:
            break
    requests = []
    for request in found:
        with contextlib.suppress(UnicodeDecodeError):
            requests.append(request.decode())
    return requests, odd * _ODD <= looked


def _took(asked: dict[str, Any], one_word: bool) -> tuple[str, _Reads]:
    """How DuckDB finds what says the time that a request took, and what reads it. Where nothing else follows
    the user agent there is nothing to search; other words would make more things to be told apart."""
    place, times = asked["time_word"], Times(asked["time_word"], asked["time_unit"])
    if place == 1 and one_word:
        return "part[7]", times.__getitem__
    return f"split_part(part[7], ' ', {place + 1})" if place else "''", times.of_word


class _Routes:
    """The routes of requests, by numbers: those are faster to compare."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._seen: dict[str, int] = {}

    def learn(self, database: Any, table: str, requests: list[str]) -> None:
        """A table of requests and the numbers of their routes."""
        numbers = [self._number(request) for request in requests]
        database.execute(
            f"create temp table {table} as select unnest($1::varchar[]) as request,"
            " unnest($2::integer[]) as route",
            [requests, numbers],
        )

    def _number(self, request: str) -> int:
        # Most are others' with another number. A long one may be cut where its numbers end.
        alike = _NUMBERS.sub("/0", request) if len(request) < LONGEST_ROUTE else request
        number = self._seen.get(alike)
        if number is None:
            route = route_of(alike.encode())
            number = self._numbers.setdefault(route, len(self.names))
            if number == len(self.names):
                self.names.append(route)
            self._seen[alike] = number
        return number


def _add_requests(database: Any, read: _Reads, routes: _Routes, counts: Counts) -> None:
    rows = database.execute(
        "select distinct split_part(rest, '\"', 1) from counted"  # noqa: S608 - a number of ours
        f" where fits and route is null limit {_MOST_REQUESTS + 1}"
    )
    requests = [row[0] for row in rows.fetchall()]
    if len(requests) > _MOST_REQUESTS:
        raise _Doubt(f"there are more than {_MOST_REQUESTS:,} different requests")
    routes.learn(database, "rare", requests)
    for route, status, number in _rows(
        database, f"select {_ROUTE}, status, sum(n)::bigint {_FROM} where fits group by all"
    ):
        counts.add_requests(routes.names[route], int(status), number)
    for route, took, number in _rows(
        database, f"select {_ROUTE}, took, sum(n)::bigint {_FROM} where fits group by all"
    ):
        counts.add_times(routes.names[route], read(took.encode()), number)
    counts.bound()


def _rows(database: Any, query: str) -> Iterator[Any]:
    rows = database.execute(query)
    while some := rows.fetchmany(10_000):
        yield from some


def _add_refused(database: Any, counts: Counts) -> None:
    for place, read, callers in ((2, client_of, counts.clients), (3, agent_of, counts.agents)):
        for caller, number in _rows(
            database,
            f"select split_part(rest, '\"', {place}), sum(n)::bigint from counted"  # noqa: S608 - of ours
            " where fits and status in (' 401 ', ' 403 ') group by all",
        ):
            callers[read(caller.encode())] += number
    counts.bound()


def _read_again(database: Any, source: Source, asked: dict[str, Any], counts: Counts) -> None:
    """Reads the lines that DuckDB did not take, or not as it should."""
    rules = NginxLines(counts, asked)
    lines = Lines(counts, rules)
    for line, number in _rows(
        database, "select rest, sum(n)::bigint from counted where not fits group by all"
    ):
        for _ in range(number):
            lines.feed(line.encode() + b"\n")
    rows = database.execute("select distinct line_byte_position from reject_errors")
    for (place,) in rows.fetchall():
        at = place - 1  # it counts from 1
        if line_start(source, at) != at:
            raise _Doubt("it does not say which lines it did not take")
        _feed_line(source, at, lines)
    rules.finish()


def _feed_line(source: Source, at: int, lines: Lines) -> None:
    end = line_start(source, at + 1)
    while at < end:
        piece = os.pread(source.file, min(READ, end - at), at)
        if not piece:
            raise _Doubt("it was cut short")
        lines.feed(piece)
        at += len(piece)
    lines.finish()


class _Lines:
    """Counts line breaks beside DuckDB: wc(1) is ten times as fast as Python."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._wc: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError), open(f"/proc/self/fd/{source.file}", "rb") as file:
            self._wc = subprocess.Popen(["wc", "-l"], stdin=file, stdout=subprocess.PIPE)  # noqa: S607

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        if self._wc is not None:
            self._wc.kill()
            self._wc.__exit__(None, None, None)

    def count(self) -> int:
        """The lines; the last one may lack its end."""
        source, found = self._source, -1
        if self._wc is not None:
            with contextlib.suppress(ValueError):
                assert self._wc.stdout is not None
                found = int(self._wc.stdout.read())
        if found < 0:
            pieces = (os.pread(source.file, READ, at) for at in range(0, source.size, READ))
            found = sum(piece.count(b"\n") for piece in pieces)
        return found + (source.size > 0 and os.pread(source.file, 1, source.size - 1) != b"\n")
