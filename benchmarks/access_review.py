"""A review of a 1 GB access log, beside DuckDB on the same file and an awk that goes over it once.

The log's truth is known from how it is made; every way must come to the same numbers: what each route's
requests ended with and took, who was turned away, and how many lines are of other days or of nothing that is
understood. The limits are about
the wall time of the whole step, from its start to its report, and about the memory of all its processes.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from runbooks.steps.log_window import rotated_names
from runbooks.steps.sent import program

SIZE = 1_025_000_000
#: Different lines, of which the log is made again and again in another order; and lines of it that nobody
#: understands, in each round.
LINES, DIRTY = 400_000, 4
#: One line in so many is of another day.
OTHERS = 1000
ROUNDS = 3
DAYS = [date(2026, 11, 15 + number) for number in range(7)]
BEFORE = date(2026, 11, 14)
#: MB that all processes of a review may hold, and the limits of the ratios.
MEMORY, BESIDE_DUCKDB, BESIDE_AWK = 200.0, 1.3, 1.0

_ROUTES = [
    ("GET", "/api/products/{n}", 30),
    ("GET", "/api/search?q={w}&page={n}", 12),
    ("GET", "/", 10),
    ("GET", "/static/app.0c{h}.js", 8),
    ("POST", "/api/carts/{n}/items", 6),
    ("GET", "/api/users/{n}/orders/{m}", 6),
    ("POST", "/login", 4),
    *(
        ("GET", f"/pages/{word}", 1)
        for word in ["about", "terms", "jobs", "press", "blog", "help", "faq", "contact", "news", "team"]
    ),
]
_WORDS = ("red", "blue", "shirt", "shoe", "hat")
_AGENTS = [f"Mozilla/5.0 (X11; Linux x86_64; rv:{n}.0) Firefox/{n}.0" for n in range(110, 140)]
_STATUSES = ((200, 85), (304, 5), (404, 6), (401, 1), (403, 1), (500, 1), (502, 1))

_AWK = r"""
BEGIN { FS = "\""; split(DAYS, w, ","); for (i in w) inside[w[i]] }
NF != 7 { bad++; next }
!(substr($1, length($1) - 27, 11) in inside) { other++; next }
{
  i = index($2, "?"); p = i ? substr($2, 1, i - 1) : $2
  if (p in known) r = known[p]
  else {
    split(p, w, " "); n = split(w[2], s, "/"); r = w[1] " "
    for (j = 2; j <= n; j++) {
      if (s[j] ~ /^[0-9]+$/) s[j] = ":id"
      sub(/^app\.[0-9a-f]+\.js$/, "app.:id.js", s[j])
      r = r "/" s[j]
    }
    known[p] = r
  }
  st = substr($3, 2, 3); t = int($7 * 1000 + 0.5)
  c[r "|" st]++; h[r "|" t]++; a[t]++; sum += t; total++
  if (st == 401 || st == 403) { split($1, x, " "); cl[x[1]]++; ua[$6]++ }
}
END {
  print "lines|" total "|" other "|" bad; print "sum|" sum
  for (k in c) print "s|" k "|" c[k]
  for (k in h) print "h|" k "|" h[k]
  for (k in cl) print "c|" k "|" cl[k]
  for (k in ua) print "a|" k "|" ua[k]
}
"""

_DUCKDB = """
import duckdb, json, sys
path, days = sys.argv[1], sys.argv[2].split(",")
db = duckdb.connect(config={"threads": 2, "memory_limit": "1GB"})
db.execute("set enable_progress_bar = false")
db.execute(f'''create temp table counted as
  select split_part(req, '?', 1) as req, status, t, case when status in (401, 403) then ip end as ip,
    case when status in (401, 403) then ua end as ua,
    substring(d, 2, 11) in {tuple(days)} as inside, count(*) as n
  from read_csv('{path}', header = false, auto_detect = false, delim = ' ', quote = '"', escape = '"',
    store_rejects = true, rejects_limit = 0,
    columns = {{'ip': 'VARCHAR', 'i': 'VARCHAR', 'u': 'VARCHAR', 'd': 'VARCHAR', 'z': 'VARCHAR',
      'req': 'VARCHAR', 'status': 'INTEGER', 'size': 'BIGINT', 'ref': 'VARCHAR', 'ua': 'VARCHAR',
      't': 'DECIMAL(9,3)'}}) group by all''')
db.execute('''create temp table routed as
  with routes as (select req, regexp_replace(regexp_replace(split_part(req, ' ', 1) || ' ' ||
      split_part(req, ' ', 2), '/[0-9]+', '/:id', 'g'), 'app[.][0-9a-f]+[.]js', 'app.:id.js') as route
    from (select distinct req from counted))
  select route, status, (t * 1000)::integer as ms, ip, ua, sum(n)::bigint as n from counted
  join routes using (req) where inside group by all''')
rows = lambda query: db.execute(query).fetchall()
print(json.dumps({
    "lines": rows("select sum(n)::bigint from routed")[0][0],
    "other": rows("select sum(n)::bigint from counted where not inside")[0][0],
    "bad": rows("select count(distinct line) from reject_errors")[0][0],
    "s": rows("select route, status, sum(n)::bigint from routed group by all"),
    "h": rows("select route, ms, sum(n)::bigint from routed group by all"),
    "c": rows("select ip, sum(n)::bigint from routed where ip is not null group by all"),
    "a": rows("select ua, sum(n)::bigint from routed where ua is not null group by all"),
}))
"""


class Truth:
    """What is in the log."""

    def __init__(self) -> None:
        self.lines = 0
        self.others = 0
        self.dirty = 0
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.times: Counter[tuple[str, int]] = Counter()
        self.clients: Counter[str] = Counter()
        self.agents: Counter[str] = Counter()


def make(path: Path) -> Truth:
    """Writes the log."""
    chance, truth, rows = random.Random(7), Truth(), []
    routes, weights = [each[:2] for each in _ROUTES], [each[2] for each in _ROUTES]
    statuses, shares = zip(*_STATUSES, strict=True)
    once = Truth()
    for number in range(LINES):
        method, pattern = chance.choices(routes, weights)[0]
        status = chance.choices(statuses, shares)[0]
        took = min(int(chance.lognormvariate(3.9, 1.1)), 9_999)
        thing = chance.randrange(9_000)
        values = {"n": thing, "m": thing % 50, "h": f"{thing:06}", "w": chance.choice(_WORDS)}
        client, agent = f"10.{chance.randrange(3)}.0.{chance.randrange(250)}", chance.choice(_AGENTS)
        day = BEFORE if number % OTHERS == 0 else DAYS[number * len(DAYS) // LINES]
        head = f"{client} - - [{day:%d/%b/%Y}:{number % 24:02}:00:00 +0000]"
        rows.append(
            f'{head} "{method} {pattern.format(**values)} HTTP/1.1"'
            f' {status} {chance.randrange(99_999)} "-" "{agent}" {took / 1000:.3f}\n'.encode()
        )
        route = f"{method} {pattern.partition('?')[0].replace('0c{h}', ':id').replace('{n}', ':id')}"
        route = route.replace("{m}", ":id")
        if day is BEFORE:
            once.others += 1
            continue
        once.lines += 1
        once.statuses[route, status] += 1
        once.times[route, took] += 1
        if status in (401, 403):
            once.clients[client] += 1
            once.agents[agent] += 1
    dirty = [b"no request at all\n", b"\x16\x03\x01\x02\n", b"half a line\n", b"-\n"][:DIRTY]
    times = SIZE // sum(map(len, rows))
    with path.open("wb") as file:
        for _ in range(times):
            chance.shuffle(rows)
            file.write(b"".join(rows))
            file.write(b"".join(dirty))
    truth.lines, truth.others, truth.dirty = times * once.lines, times * once.others, times * len(dirty)
    for name in ("statuses", "times", "clients", "agents"):
        getattr(truth, name).update({key: count * times for key, count in getattr(once, name).items()})
    return truth


def _asked(path: Path, engine: str) -> str:
    asked = {"path": str(path), "rotated": rotated_names(str(path)), "format": "nginx", "timezone": "UTC"}
    days = {"since": 0.0, "first_day": DAYS[0].toordinal(), "last_day": DAYS[-1].toordinal()}
    how = {"time_word": 1, "time_key": "", "time_unit": "s", "engine": engine, "workers": 2}
    return json.dumps({**asked, **days, **how})


class Peak:
    """The most memory (MB, shared pages counted once) that a process with its children held."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.megabytes = 0.0

    def look(self) -> None:
        """Looks once more."""
        total, todo = 0, [self._pid]
        while todo:
            pid = todo.pop()
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                todo += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            except OSError:
                continue
            total += sum(int(row.split()[1]) for row in rollup.splitlines() if row.startswith("Pss:"))
        self.megabytes = max(self.megabytes, total / 1000)


def _timed(argv: list[str], given: str = "") -> tuple[float, float, str]:
    """Seconds, MB and what it printed."""
    with tempfile.TemporaryFile("w+") as stdin, tempfile.TemporaryFile("w+") as stdout:
        stdin.write(given)
        stdin.seek(0)
        begun = time.perf_counter()
        with subprocess.Popen(argv, stdin=stdin, stdout=stdout) as process:
            peak = Peak(process.pid)
            while process.poll() is None:
                peak.look()
                time.sleep(0.02)
        seconds = time.perf_counter() - begun
        assert process.returncode == 0, argv[:2]
        stdout.seek(0)
        return seconds, peak.megabytes, stdout.read()


def _answer(said: str) -> dict[str, Any]:
    """The result that a program of `there` says, in its pieces."""
    text = "".join(row[1:] for row in said.splitlines() if row[0] in "+R")
    found: dict[str, Any] = json.loads(text)
    return found


def _check_ours(said: str, truth: Truth, engine: str) -> None:
    found = _answer(said)
    assert found["engine"] == engine, found["why"]
    counted = (found["understood"], found["outside"], found["unread"])
    assert counted == (truth.lines, truth.others, truth.dirty)
    assert found["lines"] == sum(counted)
    for row in found["routes"]:
        route = row["route"]
        assert {(route, int(status)): n for status, n in row["statuses"].items()} == {
            key: n for key, n in truth.statuses.items() if key[0] == route
        }
        cells = sorted((took, n) for (name, took), n in truth.times.items() if name == route)
        count = sum(n for _, n in cells)
        assert abs(row["mean"] - sum(took * n for took, n in cells) / count) < 1e-9
        for percent in (50, 95, 99):
            assert row[f"p{percent}"] == _percentile(cells, count, percent), (route, percent)
    assert {row["route"] for row in found["routes"]} == {route for route, _ in truth.statuses}
    for name, callers in (("clients", truth.clients), ("agents", truth.agents)):
        assert all(callers[caller] == n for caller, n in found[name]["top"])
        assert sum(n for _, n in found[name]["top"]) + found[name]["others"] == sum(callers.values())


def _percentile(cells: list[tuple[int, int]], count: int, percent: int) -> int:
    rank, seen = -(-count * percent // 100), 0
    for took, number in cells:
        seen += number
        if seen >= rank:
            return took
    raise AssertionError


def _check_awk(said: str, truth: Truth) -> None:
    rows = [row.split("|") for row in said.splitlines()]
    assert next(row for row in rows if row[0] == "lines") == [
        "lines",
        *map(str, (truth.lines, truth.others, truth.dirty)),
    ]
    assert {(row[1], int(row[2])): int(row[3]) for row in rows if row[0] == "s"} == truth.statuses
    assert {(row[1], int(row[2])): int(row[3]) for row in rows if row[0] == "h"} == truth.times
    assert {row[1]: int(row[2]) for row in rows if row[0] == "c"} == truth.clients
    assert {row[1]: int(row[2]) for row in rows if row[0] == "a"} == truth.agents


def _check_duckdb(said: str, truth: Truth) -> None:
    found = json.loads(said)
    assert (found["lines"], found["other"], found["bad"]) == (truth.lines, truth.others, truth.dirty)
    assert {(route, status): n for route, status, n in found["s"]} == truth.statuses
    assert {(route, took): n for route, took, n in found["h"]} == truth.times
    assert dict(found["c"]) == truth.clients
    assert dict(found["a"]) == truth.agents


def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "access.log"
        truth = make(path)
        quiet = time.time() - 3600  # or DuckDB would leave it alone, as one that is being written to
        os.utime(path, (quiet, quiet))
        ours = [sys.executable, "-I", "-c", program("access_review")]
        days = ",".join(f"{day:%d/%b/%Y}" for day in DAYS)
        ways: dict[str, tuple[list[str], str, Callable[[str], None]]] = {
            "base": (ours, _asked(path, "base"), lambda said: _check_ours(said, truth, "base")),
            "duckdb": (ours, _asked(path, "duckdb"), lambda said: _check_ours(said, truth, "duckdb")),
            "awk": (["awk", "-v", f"DAYS={days}", _AWK, str(path)], "", lambda said: _check_awk(said, truth)),
            "alone": (
                [sys.executable, "-c", _DUCKDB, str(path), days],
                "",
                lambda said: _check_duckdb(said, truth),
            ),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        memory: dict[str, float] = dict.fromkeys(ways, 0.0)
        for _ in range(ROUNDS):
            for name, (argv, given, check) in ways.items():
                took, megabytes, said = _timed(argv, given)
                check(said)
                seconds[name].append(took)
                memory[name] = max(memory[name], megabytes)
    best = {name: min(each) for name, each in seconds.items()}
    what = f"review of a {SIZE / 1e9:.1f} GB access log"
    return [
        Figure(
            what=f"{what}, beside one pass of awk",
            value=best["base"],
            unit="s",
            beside=best["awk"],
            limit=BESIDE_AWK,
        ),
        Figure(
            what=f"{what} with DuckDB, beside DuckDB alone",
            value=best["duckdb"],
            unit="s",
            beside=best["alone"],
            limit=BESIDE_DUCKDB,
        ),
        Figure(what=f"{what}, memory of all its processes", value=memory["base"], unit="MB", limit=MEMORY),
        Figure(what=f"{what} with DuckDB, memory", value=memory["duckdb"], unit="MB", limit=MEMORY),
        Figure(what="DuckDB alone, memory", value=memory["alone"], unit="MB"),
    ]


async def measure() -> list[Figure]:
    """The figures; each way several times, in turns, and the best time of each counts."""
    return await asyncio.to_thread(_measure)
