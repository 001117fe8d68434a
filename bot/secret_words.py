"""Secret parameters at the terminal: from a file, from a variable, or asked for without echo; never typed."""

import getpass
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from commands.dispatch import Admission
from commands.given import is_needed, parse_given
from runbooks.errors import UsageError
from runbooks.scrub import Scrubber
from runbooks.spec.params import Param, secret_names
from runbooks.spec.references import BrokenReference, resolve
from runbooks.spec.runbook import Runbook


def with_secrets(
    admission: Admission,
    runbooks: Mapping[str, Runbook],
    environ: Mapping[str, str],
    scrub: Scrubber,
    ask: Callable[[str], str] | None = None,
) -> Admission:
    """The same with its secrets filled in; unchanged when it has none, or when one was typed, which whoever
    carries it out refuses.

    `ask` takes a prompt; without it the person is asked if there is a terminal. Raises UsageError. Blocks:
    nothing else is under way yet.
    """
    words = admission.words
    runbook = runbooks.get(words[0].casefold()) if words and admission.command.by_runbook else None
    secret = secret_names(runbook.params) if runbook else frozenset[str]()
    if runbook is None or not secret:
        return admission
    given = parse_given(words[1:])
    found = {name: _referred(name, given[name], environ) for name in secret if given.get(name)}
    if None in found.values():
        return admission
    ask = ask or (_ask if sys.stdin.isatty() else None)
    for name in sorted(secret - found.keys()):
        if ask and (name in given or is_needed(runbook.params[name])):
            found[name] = ask(_prompt(name, runbook.params[name]))
    told = {name: value for name, value in found.items() if value}
    scrub.add(*told.values())
    rest = [word for word in words[1:] if word.partition("=")[0] not in secret]
    filled = (words[0], *rest, *(f"{name}={value}" for name, value in told.items()))
    return replace(admission, request=replace(admission.request, filled=True), words=filled)


def _referred(name: str, typed: str, environ: Mapping[str, str]) -> str | None:
    """What a file or a variable holds; None when the value itself was typed."""
    try:
        found = resolve(typed, environ, Path())
    except BrokenReference as error:
        raise UsageError(f"{name}: {error}") from error
    return found.text if found else None


def _prompt(name: str, param: Param) -> str:
    return f"{param.prompt or name} (it is not shown): "


def _ask(prompt: str) -> str:
    # asyncio's handler would only take note of Ctrl-C, and wait for the end of the line.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return getpass.getpass(prompt)
    except (EOFError, KeyboardInterrupt):
        raise UsageError("You gave no secret: nothing was done.") from None
    finally:
        signal.signal(signal.SIGINT, before)
