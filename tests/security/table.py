"""The table of the checks in docs/security.md, from what the files of the checks say of themselves."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "security.md"
#: How many checks there are.
CHECKS = 34
_TABLE = re.compile(r"(?<=<!-- checks: `make docs` -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class CheckFile:
    """One check: its file, and what its docstring says: what holds, and which other tests keep it."""

    number: int
    path: Path
    holds: str
    also: str

    @property
    def row(self) -> str:
        """Its line of the table."""
        name = self.path.name
        kept = f"[{name}](../tests/security/{name})"
        return f"| {self.number:02} | {self.holds} | {kept}{'; ' if self.also else ''}{self.also} |"


def checks() -> tuple[CheckFile, ...]:
    """All there are, by number."""
    return tuple(map(read, sorted(HERE.glob("test_[0-9][0-9]_*.py"))))


def read(path: Path) -> CheckFile:
    """What one says. Raises ValueError when it does not say its number."""
    words = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    number, _, said = words.partition(": ")
    holds, _, also = said.partition(" Also kept by ")
    return CheckFile(number=int(number), path=path, holds=holds, also=also.rstrip("."))


def table() -> str:
    """The table, as it stands on the page."""
    rows = "\n".join(check.row for check in checks())
    return f"| | what holds | kept by tests/security/ and |\n|---|---|---|\n{rows}\n"


def on_the_page() -> str:
    """What stands there now."""
    found = _TABLE.search(PAGE.read_text(encoding="utf-8"))
    return found[0] if found else ""


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda _: table(), page), encoding="utf-8")
