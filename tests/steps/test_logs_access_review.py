"""`logs.access_review` as a step: what it says, remembers and compares, here and over ssh."""

import importlib.util
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.records.step_memory import Remembered
from runbooks.steps import ACTIONS
from runbooks.steps.action import Done, Failed
from runbooks.steps.reach import Connections
from runbooks.targets import LogsTarget
from tests.steps.acting import a_call
from tests.steps.conftest import Sshd
from tests.steps.there.conftest import line

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


class Series:
    """A memory for one test."""

    def __init__(self) -> None:
        self.kept: list[tuple[tuple[str, str, str], Remembered]] = []

    async def remember(self, kind: str, target: str, name: str, value: Any) -> None:
        self.kept.insert(0, ((kind, target, name), Remembered(NOW, value)))

    async def last(self, *key: str) -> Remembered | None:
        return next(iter(await self.recent(*key[:3], 1)), None)

    async def recent(self, kind: str, target: str, name: str, limit: int) -> list[Remembered]:
        return [found for key, found in self.kept if key == (kind, target, name)][:limit]


def write(path: Path, text: str) -> None:
    """A file with that text."""
    path.write_text(text)


async def review(target: LogsTarget, memory: Any = None, now: datetime = NOW, **fields: Any) -> Done:
    """Reviews a log."""
    action = ACTIONS["logs.access_review"].model_validate({"target": target.name, **fields})
    async with Connections() as connections:
        call = replace(a_call(connections, target), now=lambda: now, memory=memory or Series())
        return await action.act(target, call)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of one day: a hundred requests."""
    path = tmp_path / "access.log"
    rows = [line(took=f"{n / 1000:.3f}") for n in range(1, 91)]
    rows += [line("POST /login HTTP/1.1", 401, client="203.0.113.9", agent="curl/8") for _ in range(8)]
    rows += [line("GET /orders/7 HTTP/1.1", 502) for _ in range(2)]
    path.write_text("\n".join([*rows, ""]))
    return path


def target(path: Path, **changes: Any) -> LogsTarget:
    """The target of it."""
    return LogsTarget.model_validate(
        {"name": "access", "type": "logs", "path": str(path), "format": "nginx", **changes}
    )


async def test_the_figures_are_outputs_and_the_rest_is_told(log: Path) -> None:
    """Errors, who was turned away, and times, each by what a person asks for."""
    done = await review(target(log))

    assert done.values == {
        "requests": 100,
        "client_errors": 8,
        "server_errors": 2,
        "client_error_percent": 8,
        "server_error_percent": 2,
        "refused": 8,
        "mean_ms": pytest.approx((sum(range(1, 91)) + 120) / 100),
        "p50_ms": 40,
        "p95_ms": 85,
        "p99_ms": 89,
        "lines": 100,
        "unread": 0,
        "engine": "base",
    }
    assert done.summary.startswith("100 requests from 2026-11-15 to 2026-11-21, 4xx 8 %, 5xx 2 %")
    assert "8  203.0.113.9" in done.output
    assert "8  curl/8" in done.output
    assert "8  POST /login (8 x 401, 0 x 403)" in done.output
    assert "GET /orders/:id: 100 % of its requests (2 x 502)" in done.output
    assert done.warnings == ()


@pytest.mark.debian("sshd")
@pytest.mark.skipif(sys.platform != "linux", reason="the machine that is logged in to has procps")
async def test_a_log_on_another_machine_is_read_there(log: Path, sshd: Sshd) -> None:
    """The program goes over ssh; only its figures come back."""
    there = sshd.target()
    action = ACTIONS["logs.access_review"].model_validate({"target": "access"})
    remote = target(log, host=there.name)
    async with Connections() as connections:
        call = replace(
            a_call(connections, remote), now=lambda: NOW, targets={"access": remote, there.name: there}
        )
        done = await action.act(remote, call)

    assert done.values["requests"] == 100


async def test_what_moved_since_the_week_before_is_told(log: Path) -> None:
    """More, fewer, new, gone, slower and failing; the same week again is no week before."""
    memory = Series()
    await review(target(log), memory)
    assert "nothing to compare" in (await review(target(log), memory)).output
    rows = [line(took="0.500", day="28/Nov/2026") for _ in range(180)]
    rows += [line("GET /new HTTP/1.1", 503, day="28/Nov/2026") for _ in range(60)]
    write(log, "\n".join([*rows, ""]))

    done = await review(target(log), memory, datetime(2026, 11, 29, 9, tzinfo=UTC))

    assert "GET /: 90 -> 180 requests (+100 %); p95 86 -> 500 ms" in done.output
    assert "GET /new: new: 60 requests; 5xx 0 % -> 100 %" in done.output


async def test_who_is_turned_away_more_often_than_before_is_told(log: Path) -> None:
    """Clients and user agents; who was not among the most frequent then was few."""
    memory = Series()
    write(log, "\n".join([*[line(status=401)] * 60, ""]))
    await review(target(log), memory)
    client = line().partition(" ")[0]
    rows = [line(status=401, day="28/Nov/2026")] * 200
    rows += [line(status=403, day="28/Nov/2026", client="10.9.9.9")] * 70
    write(log, "\n".join([*rows, ""]))

    done = await review(target(log), memory, datetime(2026, 11, 29, 9, tzinfo=UTC))

    assert f"401 and 403 by client, against the time before\n  {client}: 60 -> 200" in done.output
    assert "10.9.9.9: few -> 70" in done.output
    assert "401 and 403 by user agent, against the time before\n" in done.output


async def test_lines_that_are_not_understood_are_shown_without_secrets(log: Path) -> None:
    """More than one in a hundred is a warning."""
    write(log, "\n".join([*[line()] * 100, *['oops password=hunter2 "s3cret" 4711'] * 5, ""]))

    done = await review(target(log))

    assert "5 lines not understood, such as" in done.output
    assert "hunter2" not in done.output
    assert "s3cret" not in done.output
    assert done.warnings == ("4.8 % of the lines were not understood",)


async def test_a_log_in_another_format_fails(log: Path) -> None:
    """Nothing in it is a request; and formats that are no access logs are refused."""
    with pytest.raises(Failed, match=r"none of 100 lines of .* reads as json"):
        await review(target(log, format="json"))
    with pytest.raises(StepError, match="is no access log"):
        await review(target(log, format="python"))


async def test_a_log_that_is_not_there_or_has_no_such_days_is_no_quiet_week(log: Path) -> None:
    """The one fails, the other is worth a look."""
    done = await review(target(log), now=datetime(2027, 3, 1, tzinfo=UTC))
    with pytest.raises(Failed, match="does not exist"):
        await review(target(log.parent / "none.log"))

    assert "there is no line of these days" in done.warnings[0]


def test_an_engine_whose_extra_is_missing_is_refused_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "duckdb" else found(name, *rest)
    )

    ACTIONS["logs.access_review"].model_validate({"target": "access"})
    with pytest.raises(ValidationError, match=r"pip install 'maintbot\[duckdb\]'"):
        ACTIONS["logs.access_review"].model_validate({"target": "access", "engine": "duckdb"})
