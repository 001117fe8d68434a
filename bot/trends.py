"""Draws the small trends of a digest as a PNG.

Needs matplotlib (the extra `charts`), so it is imported when it is used, in a thread: it is slow to
import and to draw. No part of it that is shared between threads is used.
"""

import asyncio
import importlib.util
from collections.abc import Mapping, Sequence
from datetime import UTC
from io import BytesIO
from typing import TYPE_CHECKING, Any

from runbooks.errors import MaintError
from runbooks.steps.chart import Panel
from runbooks.steps.units import show

if TYPE_CHECKING:  # an extra
    from matplotlib.axes import Axes

#: The picture has a ground of its own, so it reads the same on a light and on a dark one.
GROUND, INK, FAINT = "#fbfbfa", "#1f2328", "#d5d8dc"
#: Told apart by people who see colours otherwise, too (Okabe and Ito), and dark enough for the ground.
COLOURS = ("#0072b2", "#c05000", "#00795a", "#9b4d86")
#: Inches of one picture, and dots of an inch.
WIDTH, HEIGHT, DOTS = 3.6, 2.0, 150


class NoCharts(MaintError):
    """Nothing can be drawn here."""


def can_draw() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("matplotlib") is not None


async def chart(body: Mapping[str, Any]) -> bytes:
    """The PNG of a letter that has panels. Raises NoCharts."""
    try:
        return await asyncio.to_thread(draw, body["panels"])
    except ImportError as error:
        raise NoCharts("The extra `charts` is not installed: pip install 'maintbot[charts]'") from error


def draw(panels: Sequence[Panel]) -> bytes:
    """All of them in one PNG, two in a row. Blocks. Raises ImportError without the extra."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(
        figsize=(WIDTH * columns, HEIGHT * rows), dpi=DOTS, facecolor=GROUND, layout="constrained"
    )
    FigureCanvasAgg(figure)
    for place, panel in enumerate(panels):
        _draw_one(figure.add_subplot(rows, columns, place + 1), panel)
    picture = BytesIO()
    figure.savefig(picture, format="png", facecolor=GROUND)
    return picture.getvalue()


def _draw_one(axes: "Axes", panel: Panel) -> None:
    from matplotlib.dates import AutoDateLocator, DateFormatter
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    unit = panel["unit"]
    for colour, line in zip(COLOURS, panel["lines"], strict=False):
        days = [at / 86400 for at, _ in line["points"]]  # as matplotlib counts moments
        values = [value for _, value in line["points"]]
        label = _plain(f"{line['name']} {show(values[-1], unit)}")
        axes.plot(days, values, color=colour, linewidth=1.4, label=label.lstrip("_"))
    axes.set_title(_plain(panel["title"]), loc="left", fontsize=9, color=INK, fontweight="bold")
    axes.set_facecolor(GROUND)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: show(float(value), unit)))
    axes.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=6, tz=UTC))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(DateFormatter("%d %b", tz=UTC))  # type: ignore[no-untyped-call]
    axes.tick_params(colors=INK, labelsize=7, length=2)
    axes.grid(visible=True, color=FAINT, linewidth=0.5)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(FAINT)
    # Below: within, it would lie over the lines.
    axes.legend(
        fontsize=7,
        frameon=False,
        labelcolor=INK,
        ncols=2,
        loc="upper left",
        bbox_to_anchor=(0.0, -0.16),
        borderaxespad=0.0,
    )


def _plain(text: str) -> str:
    """The text as it is: a dollar sign in a name begins no formula."""
    return text.replace("$", r"\$")
