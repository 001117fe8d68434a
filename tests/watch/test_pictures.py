"""The trends of a digest are a picture that can be read on any ground, and by those who cannot see it."""

import struct
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest

from bot import trends
from bot.trends import COLOURS, GROUND, INK, NoCharts, chart, draw
from runbooks.steps.chart import ALT_LENGTH, MOST_POINTS, Panel, alt_text
from runbooks.steps.chart import _thinned as thinned

START = datetime(2026, 11, 15, tzinfo=UTC)


def panels(count: int) -> list[Panel]:
    """So many, with names that mean something else to who draws them."""
    return [
        {
            "title": f"disk ${n}$ _x",
            "unit": "%",
            "lines": [
                {
                    "name": f"_web-{line} $\\frac",
                    "points": [(START.timestamp() + 3600 * at, float(at % 7 + line)) for at in range(84)],
                }
                for line in range(4)
            ],
        }
        for n in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_any_number_of_trends_is_one_picture(count: int) -> None:
    """Two in a row, of a size that Slack shows whole."""
    picture = draw(panels(count))

    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    assert width == (540 if count == 1 else 1080)
    assert height == pytest.approx(300 * -(-count // 2), abs=3)
    assert len(picture) < 500_000


def test_it_brings_its_own_ground() -> None:
    """No pixel lets a dark or a light theme through, and what is written on it can be read."""
    from matplotlib.image import imread

    pixels: Any = imread(BytesIO(draw(panels(2))))
    if pixels.shape[2] == 4:
        assert float(pixels[..., 3].min()) == 1.0
    assert contrast(INK, GROUND) > 7
    assert all(contrast(colour, GROUND) > 4.5 for colour in COLOURS)


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 counts it."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_words_say_what_it_shows() -> None:
    """Of each line its bounds and its last value, as long as Slack takes."""
    said = alt_text(panels(1))

    assert said.startswith("Trends from 20")
    assert " UTC. disk $0$ _x: _web-0" in said
    assert "0 % to 6 %, last 6 %" in said
    assert len(alt_text(panels(6))) <= ALT_LENGTH


def test_many_points_become_some_that_lie_among_them() -> None:
    """The median of each stretch: an outlier alone does not draw a peak."""
    found = [(START + timedelta(minutes=5 * n), 1000.0 if n == 500 else float(n % 2)) for n in range(2016)]

    points = thinned(found, START)

    assert len(points) <= MOST_POINTS
    assert all(0 <= value <= 1 for _, value in points)
    assert points == sorted(points)


async def test_without_the_extra_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever posts the digest leaves the picture out."""

    def missing(_: object) -> bytes:
        raise ImportError("No module named 'matplotlib'")

    monkeypatch.setattr(trends, "draw", missing)
    with pytest.raises(NoCharts, match="charts"):
        await chart({"panels": panels(1)})


def test_it_is_imported_only_when_something_is_drawn() -> None:
    """A Maint without digests does not carry it."""
    code = "import sys, bot.app; sys.exit('matplotlib' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
