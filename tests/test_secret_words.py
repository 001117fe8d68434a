"""Secret parameters at the terminal: from files, from variables, or asked for."""

from pathlib import Path

import pytest

from bot.secret_words import with_secrets
from commands import COMMANDS
from commands.dispatch import Admission
from runbooks.errors import UsageError
from runbooks.scrub import Scrubber
from tests.commands.world import DEPLOY, at_terminal

RUNBOOKS = {"deploy": DEPLOY}


def admitted(*words: str, word: str = "run") -> Admission:
    """What the person typed, admitted."""
    return Admission(at_terminal(word), COMMANDS[word], words)


def refuse(prompt: str) -> str:
    raise AssertionError(f"asked for {prompt}")


@pytest.mark.parametrize("typed", ["token=file:{0}/token", "token=${{TOKEN}}"])
def test_a_secret_is_taken_from_a_file_or_a_variable(tmp_path: Path, typed: str) -> None:
    """Its value stands in the words alone, and is scrubbed from then on."""
    (tmp_path / "token").write_text("hunter22\n")
    scrub = Scrubber()
    typed = typed.format(tmp_path)

    filled = with_secrets(
        admitted("deploy", typed, "version=1.2"), RUNBOOKS, {"TOKEN": "hunter22"}, scrub, refuse
    )

    assert filled.words == ("deploy", "version=1.2", "token=hunter22")
    assert filled.request.filled
    assert "hunter22" not in repr(filled.request)
    assert scrub("it is hunter22") == "it is [secret]"


def test_a_secret_that_is_named_without_a_value_is_asked_for() -> None:
    """One that a run can do without is not asked for unless it is named."""
    asked = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "hunter22"

    named = with_secrets(admitted("deploy", "token=", "version=1.2"), RUNBOOKS, {}, Scrubber(), ask)
    unnamed = with_secrets(admitted("deploy", "version=1.2"), RUNBOOKS, {}, Scrubber(), refuse)

    assert named.words == ("deploy", "version=1.2", "token=hunter22")
    assert asked == ["token (it is not shown): "]
    assert unnamed.words == ("deploy", "version=1.2")


def test_a_secret_that_was_typed_is_left_for_the_command_to_refuse() -> None:
    """Nothing is asked for then, and the words do not count as filled in."""
    typed = admitted("deploy", "token=hunter22")

    assert with_secrets(typed, RUNBOOKS, {}, Scrubber(), refuse) == typed
    assert not typed.request.filled


def test_what_cannot_be_read_is_said_without_a_value(tmp_path: Path) -> None:
    """A file or a variable that is not there."""
    with pytest.raises(UsageError, match=r"token: cannot read .*nowhere: No such file"):
        with_secrets(admitted("deploy", f"token=file:{tmp_path}/nowhere"), RUNBOOKS, {}, Scrubber(), refuse)
    with pytest.raises(UsageError, match="token: the environment variable TOKEN is not set"):
        with_secrets(admitted("deploy", "token=${TOKEN}"), RUNBOOKS, {}, Scrubber(), refuse)


@pytest.mark.parametrize("words", [(), ("nothing", "a=b"), ("deploy",)])
def test_what_has_no_secret_is_left_as_it_is(words: tuple[str, ...]) -> None:
    """No word, an unknown runbook, another command."""
    typed = admitted(*words, word="health")

    assert with_secrets(typed, RUNBOOKS, {}, Scrubber(), refuse) is typed
