"""docs/secrets.md says what is so."""

import re
from pathlib import Path

import pytest

from bot.secret_words import with_secrets
from commands import COMMANDS
from commands.dispatch import Admission
from commands.words import split_words
from runbooks.engine.sealing import OLD_VARIABLE, VARIABLE
from runbooks.scrub import Scrubber
from runbooks.spec.runbook import Runbook, from_source
from runbooks.steps import KINDS
from runbooks.targets import HostTarget
from tests.commands.world import at_terminal

PAGE = (Path(__file__).parents[1] / "docs" / "secrets.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(.+)` \| `(.+)` \|$", PAGE, re.MULTILINE)
COMMANDS_ON_THE_PAGE = re.findall(r"^maint (run rotate-token.*?) +# ", PAGE, re.MULTILINE)


@pytest.fixture
def example() -> Runbook:
    """The runbook on the page."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return from_source("rotate-token.yaml", text, KINDS, {"here": HostTarget})


@pytest.mark.parametrize(("before", "after"), ROWS)
def test_the_table_shows_what_the_scrubber_does(before: str, after: str) -> None:
    """Each row, with the one secret that the page names."""
    assert Scrubber(["hunter22hunter22"])(before) == after


def test_the_table_is_read() -> None:
    """The rows above are there."""
    assert len(ROWS) == 6


@pytest.mark.parametrize("line", COMMANDS_ON_THE_PAGE)
def test_the_commands_of_the_page_get_the_secret(
    line: str, example: Runbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for, from a file, or from a variable."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new-token").write_text("hunter22hunter22\n")
    typed = Admission(at_terminal(line), COMMANDS["run"], split_words(line)[1:])
    environ = {"NEW_TOKEN": "hunter22hunter22"}

    filled = with_secrets(typed, {example.name: example}, environ, Scrubber(), lambda _: "hunter22hunter22")

    assert len(COMMANDS_ON_THE_PAGE) == 3
    assert filled.words == ("rotate-token", "token=hunter22hunter22")


def test_the_variables_of_the_page_are_those_that_are_read() -> None:
    """The names of the keys, on this page and on the one about settings."""
    settings = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text(encoding="utf-8")
    for name in (VARIABLE, OLD_VARIABLE, f"{OLD_VARIABLE}_FILE"):
        assert f"`{name}`" in PAGE
        assert f"`{name}`" in settings
