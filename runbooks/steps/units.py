"""How values are written for people: `420 ms`, `78 %`, `1.2 GiB`, `3 h`."""

import math

from runbooks.steps.step import Value

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SPANS = ((86400 * 2, 86400, "d"), (3600 * 2, 3600, "h"), (120, 60, "min"))


def _number(value: float) -> str:
    if value == 0 or abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 1 else f"{value:.2g}"


def show(value: Value, unit: str) -> str:
    """The value with its unit, rounded as a person would; `no data` for None."""
    if value is None:
        return "no data"
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return "no number"
    if unit == "bytes":
        size = float(value)
        for name in _BYTES:
            if abs(size) < 1024 or name == _BYTES[-1]:
                return f"{_number(size)} {name}"
            size /= 1024
    if unit == "s":
        for least, size, name in _SPANS:
            if value >= least:
                return f"{_number(value / size)} {name}"
    return f"{_number(value)} {unit}".rstrip()


_SIGNS = {"above": ">", "at_least": "≥", "below": "<", "at_most": "≤", "equals": "=", "differs_from": "≠"}


def show_bound(operator: str, bound: float | str, unit: str) -> str:
    """A threshold as people write it: `> 80 %`."""
    return f"{_SIGNS[operator]} {show(bound, unit)}"
