"""`key=value …`: what people give a runbook, and what is said when it is not enough."""

import shlex
from collections.abc import Mapping

from commands.command import ActorKind, Request
from commands.reply import RunForm
from commands.words import quoted
from runbooks.errors import UsageError
from runbooks.spec.params import Param, secret_names
from runbooks.spec.runbook import Runbook


def parse_given(words: tuple[str, ...]) -> dict[str, str]:
    """The values by their keys, as texts: `key=` is empty, a value may hold further `=`.

    Raises UsageError for a word without `=` or without a key, and for a key that is there twice.
    """
    given: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(
                f'{quoted(word)} is no key=value. A value with spaces needs quotes: note="two words".'
            )
        if key in given:
            raise UsageError(f"{quoted(key)} is given twice, and only one of them can be meant.")
        given[key] = value
    return given


def secrets_in(words: tuple[str, ...], runbook: Runbook | None) -> tuple[str, ...]:
    """The values that no log may have: of secret parameters, and of keys that nobody has declared (one may
    be a secret's, mistyped)."""
    shown = runbook.params.keys() - secret_names(runbook.params) if runbook else frozenset[str]()
    pairs = (word.partition("=") for word in words)
    return tuple(value for key, _, value in pairs if value and key not in shown)


class FormNeeded(UsageError):
    """A runbook cannot be run with what was given. `form` is the same for whoever can show a form."""

    def __init__(
        self,
        program: str,
        word: str,
        runbook: Runbook,
        given: Mapping[str, str],
        faults: Mapping[str, str],
        why: str = "",
    ) -> None:
        """`why`: what is to be read before the faults, or in their place."""
        secret = secret_names(runbook.params)
        self.form = RunForm(
            word=word,
            runbook=runbook.name,
            given={key: given[key] for key in runbook.params if key in given and key not in secret},
            faults=dict(faults),
        )
        lines = [*([why] if why else []), *(f"{name}: {fault}" for name, fault in faults.items())]
        lines.append(f"Complete it: {program} {word} {_completed(runbook, given, faults, secret)}")
        super().__init__("\n".join(lines))


def check_typed(request: Request, word: str, runbook: Runbook, given: Mapping[str, str]) -> None:
    """Raises FormNeeded when a secret stands in what was typed: others may have read it there."""
    typed = [name for name in sorted(secret_names(runbook.params)) if given.get(name)]
    if request.filled or not typed:
        return
    if request.actor.kind is ActorKind.SLACK:
        instead = "leave it out, and a form asks for it"
    else:
        instead = "leave it out to be asked, or give {0}=file:PATH or {0}='${{VARIABLE}}'"
    faults = {
        name: f"is a secret, which is not taken from a command: {instead.format(name)}. What was typed has "
        "been seen by others: use another one."
        for name in typed
    }
    raise FormNeeded(request.program, word, runbook, given, faults)


def _completed(
    runbook: Runbook, given: Mapping[str, str], faults: Mapping[str, str], secret: frozenset[str]
) -> str:
    """The command with what is right in it, and a placeholder for what is missing or wrong; secrets are
    asked for."""
    words = [runbook.name]
    for name, param in runbook.params.items():
        wrong = name in faults
        if name in secret:
            continue
        if name in given and not wrong:
            words.append(_assigned(name, given[name]))
        elif wrong or name in given or is_needed(param):
            words.append(f"{name}={name.upper()}")
    return " ".join(words)


def _assigned(name: str, value: str) -> str:
    return f"{name}={shlex.quote(value)}"


def is_needed(param: Param) -> bool:
    """Whether a run cannot begin without it."""
    return param.required and param.default is None
