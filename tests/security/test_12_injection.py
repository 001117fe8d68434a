"""12: what people give is one argument of a program, and never read by a shell. Also kept by
tests/steps/test_command.py, tests/steps/test_ssh.py (over ssh), tests/spec/test_lint.py and
tests/spec/test_params.py."""

import sys

import pytest

from runbooks.errors import UsageError
from runbooks.spec.params import Param, parse_params
from tests.steps.acting import HERE, act

HOSTILE = (
    "; touch owned",
    "| touch owned",
    "&& touch owned",
    "$(touch owned)",
    "`touch owned`",
    "${IFS}touch${IFS}owned",
    "\ntouch owned",
    "\r\ntouch owned",
    "' ; touch owned ; '",
    '" ; touch owned ; "',
    "> owned",
    "--help",
    "-n",
    "\u2010rf",
    "\u2212rf",
    "*",
    "~",
    "!!",
    "%s%n",
    "\\",
    "\u202e",
    "a\tb",
    "#",
    "\U000e0041",
)


async def test_a_program_gets_it_as_it_was_given(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All of them at once, and nothing else happens."""
    folder = tmp_path_factory.mktemp("work")

    say = "import sys; print(' '.join(word.encode().hex() for word in sys.argv[1:]))"

    done = await act(
        "command", HERE, {"run": [sys.executable, "-c", say, *HOSTILE], "directory": str(folder)}
    )

    assert done.output.split() == [word.encode().hex() for word in HOSTILE]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("value", HOSTILE, ids=[str(at) for at in range(len(HOSTILE))])
def test_a_pattern_lets_none_of_it_through(value: str) -> None:
    """A pattern is of the whole value, with no line behind it."""
    param = Param.model_validate({"pattern": r"[a-z0-9.]+"})

    for given in (value, f"app{value}", f"app{value}\napp", f"{value}\n"):
        with pytest.raises(UsageError):
            parse_params({"p": param}, {"p": given}, {})


async def test_a_nul_reaches_no_program() -> None:
    """It would end the argument where the system reads it."""
    with pytest.raises(Exception, match=r"(?i)null|nul|\\x00|character"):
        await act("command", HERE, {"run": ["printf", "%s", "a\0b"]})
