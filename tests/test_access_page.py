"""The page on access: its files are read, and each of its questions is answered as it says."""

import json
import re
from pathlib import Path

import pytest

from bot.at_terminal import run_at_terminal
from bot.settings import load_settings
from runbooks.access import Approval, Grant, TerminalGrant

PAGE = Path(__file__).parents[1] / "docs" / "access.md"
TEXT = PAGE.read_text(encoding="utf-8")
SETTINGS, RUNBOOK = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
(LINES,) = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
ASKED = [tuple(line.split("  # ")) for line in re.sub(r" {2,}# ", "  # ", LINES).splitlines()]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """The two files of the page, as they stand there."""
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "vacuum.yaml").write_text(RUNBOOK)
    path = tmp_path / "maint.yaml"
    path.write_text(SETTINGS)
    return path


@pytest.mark.parametrize(("line", "answer"), ASKED)
async def test_a_question_is_answered_as_the_page_says(
    settings: Path,
    line: str,
    answer: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Typed by alice, whom the page lets do everything at the terminal."""
    monkeypatch.setattr("bot.at_terminal.login_name", lambda: "alice")

    await run_at_terminal(settings, {}, tuple(line.split()[1:]), as_json=True, verbose=False)

    said = json.loads(capsys.readouterr().out)
    assert f"allowed by {said['by']}" == answer if said["allowed"] else answer == "not allowed"


def test_every_key_of_a_grant_is_on_the_page(settings: Path) -> None:
    """With the defaults that the models have."""
    keys = {*Grant.written(), *TerminalGrant.written(), *Approval.written()}

    assert [key for key in sorted(keys) if f"`{key}`" not in TEXT] == []
    assert f"| `expires` | `{'4h'}`" in TEXT
    assert Approval(by=("sre",)).expires.total_seconds() == 4 * 3600
    assert len(load_settings(settings, {}).settings.grants) == 6
