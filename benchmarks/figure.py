"""One line of the table."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured value, what it is held against in the same run, and the limit of their ratio (or its own).

    `least`: the limit is a lower bound, else an upper one. Without a limit it is only told.
    """

    what: str
    value: float
    unit: str
    beside: float | None = None
    limit: float | None = None
    least: bool = False

    @property
    def ratio(self) -> float | None:
        """The value in terms of what it is held against."""
        return None if self.beside is None else self.value / self.beside

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        if self.limit is None:
            return True
        judged = self.value if self.ratio is None else self.ratio
        return judged >= self.limit if self.least else judged <= self.limit

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        sign = "≥" if self.least else "≤"
        limit = "" if self.limit is None else f"{sign} {self.limit:g}{'' if self.ratio else ' ' + self.unit}"
        return (
            self.what,
            f"{self.value:,.1f} {self.unit}",
            "" if self.beside is None else f"{self.beside:,.1f} {self.unit}",
            "" if self.ratio is None else f"{self.ratio:.2f}",
            limit,
            "" if self.limit is None else "yes" if self.kept else "NO",
        )


def percentile(values: list[float], percent: float) -> float:
    """The value below which that percentage lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
