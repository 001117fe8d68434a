"""Access logs as nginx writes them, and what reads them."""

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from runbooks.steps.there.access_review import main
from runbooks.steps.there.telling import Teller

DAY = date(2026, 11, 21)
AGENT = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/131.0"

#: Reviews the bytes of a log, with what else is to be asked for.
Review = Callable[..., dict[str, Any]]


def line(request: str = "GET / HTTP/1.1", status: int = 200, took: str = "0.012", **changes: str) -> str:
    """A line of nginx's `combined` with `$request_time` behind it, without its end."""
    say = {"client": "192.0.2.7", "user": "-", "day": "21/Nov/2026", "agent": AGENT, **changes}
    head = f"{say['client']} - {say['user']} [{say['day']}:06:25:01 +0000]"
    return f'{head} "{request}" {status} 612 "-" "{say["agent"]}" {took}'


def asked(path: Path, **changes: Any) -> dict[str, Any]:
    """What the step asks its program for."""
    return {
        "path": str(path),
        "rotated": r"access\.log[.-]\d+(?:\.(?:gz|xz))?",
        "format": "nginx",
        "timezone": "UTC",
        "since": 0.0,
        "first_day": DAY.toordinal() - 6,
        "last_day": DAY.toordinal(),
        "time_word": 1,
        "time_key": "",
        "time_unit": "s",
        "engine": "base",
        "workers": 1,
        **changes,
    }


@pytest.fixture
def review(tmp_path: Path) -> Review:
    """Writes a log and reviews it."""

    def run(data: bytes, **changes: Any) -> dict[str, Any]:
        path = tmp_path / "access.log"
        path.write_bytes(data)
        os.utime(path, (1, 1))
        return main(asked(path, **changes), Teller())

    return run
