"""What the README says can be typed can be typed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.__main__ import main
from commands import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def shell_lines() -> list[str]:
    """The lines of the README's shell blocks, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line.split(" #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("line", [line for line in shell_lines() if line.startswith("make ")])
def test_every_make_target_exists(line: str) -> None:
    """Each `make` line names a target of the Makefile."""
    target = line.split()[1]

    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", [line for line in shell_lines() if line.startswith("maint ")])
def test_every_maint_line_is_understood(line: str) -> None:
    """Each `maint` line names a sub-command, and options that it has."""
    word, *rest = line.split()[1:]

    answer = CliRunner().invoke(main, [word, "--help"])

    assert answer.exit_code == 0
    assert all(option in answer.output for option in rest if option.startswith("--"))


def test_the_table_of_commands_is_complete() -> None:
    """Every command stands in the README's table, as it is typed in Slack and at the terminal."""
    for word in COMMANDS:
        assert f"`/maint {word}" in README
        assert f"`maint {word}" in README


def test_every_link_leads_somewhere() -> None:
    """Links and pictures in the README and in docs/ point to files that are there."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in LINK.findall(page.read_text())]
    missing = [
        f"{page.relative_to(ROOT)}: {link}"
        for page, link in links
        if "://" not in link and not (page.parent / link).exists()
    ]

    assert missing == []


def test_the_exit_codes_are_those_of_the_program() -> None:
    """What the README says of exit codes is what the program does."""
    from runbooks.status import EXIT_CODES, Status

    said = "ends with 0 when all is well, 1 for a warning, 2 for something critical, 3 when nobody knows"
    assert said in README
    codes = [EXIT_CODES[status] for status in (Status.OK, Status.WARNING, Status.CRITICAL, Status.UNKNOWN)]
    assert codes == [0, 1, 2, 3]


def test_as_many_runbooks_ship_as_it_says() -> None:
    """And the page behind it has each of them."""
    from runbooks.spec.library import load_library

    names = load_library(None, {})
    page = (ROOT / "docs" / "runbooks.md").read_text()

    assert f"[{len(names)} runbooks ship](docs/runbooks.md)" in README
    assert [name for name in names if f"`{name}`" not in page] == []


def test_maint_runs_as_a_module() -> None:
    """`python -m bot` is the same program; its help names every command."""
    done = subprocess.run([sys.executable, "-m", "bot", "--help"], capture_output=True, text=True, check=True)

    assert all(word in done.stdout for word in [*COMMANDS, "init", "check", "serve", "manifest", "migrate"])
