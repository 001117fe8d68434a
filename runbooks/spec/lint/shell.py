"""Command lines in a step, taken apart as far as traps go: words, pipes and redirections, no expansion."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from runbooks.spec.source import Mark

_OPERATOR = re.compile(r"[|&;()<>]+")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
#: Programs that run another one, with the options of theirs that take a value.
_WRAPPERS = {
    "sudo": "ugpCDhRTr", "doas": "uC", "env": "uCS", "nice": "n", "ionice": "cn", "nohup": "", "time": "",
    "timeout": "ks", "exec": "", "command": "", "xargs": "adEILnPs", "chronic": "", "setsid": "",
}  # fmt: skip
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "busybox"})
_KEYWORDS = frozenset({"if", "then", "else", "elif", "do", "while", "until", "!", "{", "time"})


@dataclass(frozen=True, kw_only=True)
class Simple:
    """One program with its words. `into`: what its output is redirected to, `out_of` its input."""

    words: tuple[str, ...]
    piped_from: "Simple | None" = None
    into: str = ""
    out_of: str = ""

    @property
    def program(self) -> str:
        """The program's name, without its folder."""
        return PurePosixPath(self.words[0]).name if self.words else ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words behind it."""
        return self.words[1:]

    def has(self, *options: str) -> bool:
        """Whether one of the options is there, `--force` also as `--force=…`, `-f` also among `-vf`."""
        return any(_is_option(word, option) for word in self.arguments for option in options)

    def does(self, *words: str) -> bool:
        """Whether it is that program, with these words next to each other; options do not count."""
        plain = [word for word in self.arguments if not word.startswith("-")]
        wanted = list(words[1:])
        starts = range(len(plain) - len(wanted) + 1)
        return self.program == words[0] and any(
            plain[start : start + len(wanted)] == wanted for start in starts
        )


def _is_option(word: str, option: str) -> bool:
    if option.startswith("--"):
        return word == option or word.startswith(f"{option}=")
    if len(option) == 2 and word.startswith("-") and not word.startswith("--"):
        return option[1] in word[1:]
    return word == option


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a script, or an argument list. `script` is all of the text that it is a line of."""

    text: str
    mark: Mark
    commands: tuple[Simple, ...]
    script: str = ""
    shell: tuple[str, ...] = field(default=())

    @property
    def pipes_fail(self) -> bool:
        """Whether a pipe fails with any of its commands."""
        return "pipefail" in self.script or "pipefail" in self.shell


def of_words(words: Sequence[str], mark: Mark) -> Line:
    """An argument list, which no shell reads."""
    return Line(
        text=shlex.join(words), mark=mark, commands=tuple(_inner(Simple(words=_unwrapped(tuple(words)))))
    )


def of_script(text: str, marks: Sequence[Mark], shell: Sequence[str] = ()) -> Iterator[Line]:
    """The lines of a script; `marks` has the place of each. What goes on behind a `\\` is one line."""
    held, first = "", 0
    for number, line in enumerate(text.split("\n")):
        first = first if held else number
        held += line
        if held.endswith("\\"):
            held = held[:-1] + " "
            continue
        bare = _without_comment(held)
        if bare.strip():
            place = marks[min(first, len(marks) - 1)]
            commands = tuple(_commands(bare))
            yield Line(text=bare, mark=place, commands=commands, script=text, shell=tuple(shell))
        held = ""


def _without_comment(line: str) -> str:
    quote = ""
    for index, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#" and (index == 0 or line[index - 1].isspace()):
            return line[:index]
    return line


def _commands(text: str) -> Iterator[Simple]:
    words: list[str] = []
    before: Simple | None = None
    into = out_of = ""
    pieces = _tokens(text)
    for index, piece in enumerate(pieces):
        after = pieces[index + 1] if index + 1 < len(pieces) else ""
        if not _OPERATOR.fullmatch(piece):
            if index and pieces[index - 1] in (">", ">>", ">|", "<", "<<", "<<<", ">&", "<&"):
                continue
            words.append(piece)
            continue
        if piece in (">", ">|", ">>"):
            # `2> errors` leaves the output alone.
            if words and words[-1] == "2":
                words.pop()
            else:
                into = after
        elif piece == "<":
            out_of = after
        elif piece not in ("<<", "<<<", ">&", "<&"):
            made = Simple(words=_unwrapped(tuple(words)), piped_from=before, into=into, out_of=out_of)
            yield from _inner(made)
            before = made if piece in ("|", "|&") else None
            words, into, out_of = [], "", ""
    yield from _inner(Simple(words=_unwrapped(tuple(words)), piped_from=before, into=into, out_of=out_of))


def _tokens(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:  # a quote that is closed in another line
        return text.split()


def _unwrapped(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of the program that is meant, behind variables, `sudo` and the like."""
    while words:
        name = PurePosixPath(words[0]).name
        if _ASSIGNMENT.fullmatch(words[0]) or name in _KEYWORDS:
            words = words[1:]
        elif name in _WRAPPERS:
            rest = _behind_options(words[1:], _WRAPPERS[name])
            words = rest[1:] if name == "timeout" else rest
        else:
            return words
    return words


def _behind_options(words: tuple[str, ...], with_value: str) -> tuple[str, ...]:
    while words and words[0].startswith("-") and len(words[0]) > 1:
        takes = len(words[0]) == 2 and words[0][1] in with_value
        words = words[2:] if takes else words[1:]
    return words


def _inner(simple: Simple) -> Iterator[Simple]:
    """The command, and those in the text that it hands to a shell."""
    if not simple.words:
        return
    yield simple
    if (text := shell_text(simple)) is not None:
        for line in text.split("\n"):
            yield from _commands(_without_comment(line))


def shell_text(simple: Simple) -> str | None:
    """What a command hands to a shell as text: `sh -c TEXT`, `eval TEXT`, `ssh HOST TEXT`."""
    if simple.program in SHELLS or simple.program == "su":
        for index, word in enumerate(simple.arguments[:-1]):
            if word.startswith("-") and not word.startswith("--") and word.endswith("c"):
                return simple.arguments[index + 1]
    if simple.program == "eval":
        return " ".join(simple.arguments)
    if simple.program == "ssh":
        behind = _behind_options(simple.arguments, "bcDEeFIiJLlmOopQRSWw")
        return " ".join(behind[1:]) or None
    return None
