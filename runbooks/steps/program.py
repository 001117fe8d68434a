"""What the steps share that run a program on a host: how it is started, ended, read and judged."""

import asyncio
import math
import shlex
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar

import regex
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from runbooks.spec.model import Spec, show_duration
from runbooks.steps.action import Action, Call, Done, Failed, Risk
from runbooks.steps.job import Job
from runbooks.steps.machine import find_machine
from runbooks.steps.process import Printed, carry_out
from runbooks.steps.reach import Reach
from runbooks.steps.step import Output, Value
from runbooks.targets import HostTarget
from runbooks.visible import one_line

#: Characters of a command that a plan shows; the digest holds all of it.
LONGEST_SHOWN = 20_000
#: Characters of a value that a step gives on.
LONGEST_VALUE = 4000
#: Seconds that the patterns may search what came at one time.
_SEARCH_SECONDS = 1.0
#: What a machine takes longer for than Maint, when it ends a program that Maint has lost.
SLACK = timedelta(seconds=60)


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return "" if value is None else value


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL character, which no program can be given")
    return text


#: A text for a program. What a reference stands for may be a number; a parameter not given is empty.
Word = Annotated[
    str,
    BeforeValidator(_as_text, json_schema_input_type=str | int | float | bool | None),
    AfterValidator(_no_nul),
]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
OutputName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
ExitCode = Annotated[int, Field(ge=0, le=255)]


def _one_group(text: str) -> str:
    try:
        groups = regex.compile(text).groups
    except regex.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    if groups > 1:
        raise ValueError("has more than one group: write (?:...) for those that are not the value")
    return text


class Captured(Spec):
    """A value that the program prints: the group of `pattern`, in the last line of stdout that has it."""

    pattern: Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_one_group)]
    number: bool = False
    title: str = ""


def as_number(text: str) -> float | None:
    """The number that a text is, a whole one as int; None when it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _free_names(names: dict[str, Captured]) -> dict[str, Captured]:
    if "exit_code" in names:
        raise ValueError("exit_code is there by itself; give the output another name")
    return names


def _own_names(names: dict[str, str]) -> dict[str, str]:
    if taken := sorted(name for name in names if name.startswith("MAINT_")):
        raise ValueError(f"{', '.join(taken)}: names that begin with MAINT_ are set by Maint")
    return names


Outputs = Annotated[dict[OutputName, Captured], AfterValidator(_free_names)]


class _Finder:
    """Looks for the outputs in the lines of standard output, beside the event loop."""

    def __init__(self, wanted: Mapping[str, Captured]) -> None:
        self._patterns = {name: regex.compile(captured.pattern) for name, captured in wanted.items()}
        self.found: dict[str, str] = {}
        self.too_slow: str = ""

    async def look_at(self, lines: Sequence[str]) -> None:
        if self._patterns and not self.too_slow:
            await asyncio.to_thread(self._look_at, lines)

    def _look_at(self, lines: Sequence[str]) -> None:
        for name, pattern in self._patterns.items():
            try:
                for line in lines:
                    # `concurrent` lets go of the interpreter lock: a long search does not stop the loop.
                    if found := pattern.search(line.rstrip("\n"), timeout=_SEARCH_SECONDS, concurrent=True):
                        self.found[name] = (found[1] if pattern.groups else found[0]) or ""
            except TimeoutError:
                self.too_slow = name
                return


class Program(Action[HostTarget]):
    """A step that runs a program on a host target, on this machine or over ssh."""

    needs: ClassVar[type[HostTarget]] = HostTarget
    outputs: ClassVar[Mapping[str, Output]] = {"exit_code": Output(title="exit code")}
    safe_to_repeat: ClassVar[bool] = False

    target: str
    environment: Annotated[dict[VariableName, Word], AfterValidator(_own_names)] = Field(default_factory=dict)
    directory: Annotated[str, StringConstraints(min_length=1), AfterValidator(_no_nul)] | None = None
    stdin: Annotated[Word, Field(max_length=1_000_000)] = ""
    success: tuple[ExitCode, ...] = Field(default=(0,), strict=False, min_length=1)
    warning: tuple[ExitCode, ...] = Field(default=(), strict=False)
    captured: Outputs = Field(default_factory=dict, alias="outputs")
    danger: Annotated[Risk, Field(strict=False)] = Field(default=Risk.HIGH, alias="risk")
    may_repeat: bool = Field(default=False, alias="repeatable")
    show_output: bool = True

    @property
    def risk(self) -> Risk:  # type: ignore[override] # only the file knows what a program does
        """As the file says."""
        return self.danger

    @property
    def repeatable(self) -> bool:
        """As the file says."""
        return self.may_repeat

    def declared(self) -> Mapping[str, Output]:
        """The exit code, and what the file names."""
        own = {
            name: Output(title=captured.title or name, number=captured.number)
            for name, captured in self.captured.items()
        }
        return {**self.outputs, **own}

    def job(self, call: Call) -> Job:
        """What is to be run."""
        raise NotImplementedError

    async def act(self, target: HostTarget, call: Call) -> Done:
        """Runs it, and judges how it ended."""
        job = self.job(call)
        finder = _Finder(self.captured)
        printed = Printed(call.tell, finder.look_at, shown=self.show_output)
        reach = Reach(targets=call.targets, connections=call.connections, now=call.now)
        code = await carry_out(lambda: find_machine(target, reach), job, printed, self.timeout, self.seconds)
        what = f"`{job.argv[0]}` on {target.where()}"
        if code not in {*self.success, *self.warning}:
            said = printed.last_error or printed.last_line
            said = f": {one_line(said)}" if said else ""
            raise Failed(f"{what} {_how_it_ended(code)}{said}", printed.text)
        values = self._values(finder, what, printed.text)
        return Done(
            values={"exit_code": code, **values},
            summary=one_line(printed.last_line) or f"ended with {code}",
            output=printed.text,
            warnings=(f"{what} ended with {code}",) if code in self.warning else (),
        )

    def _values(self, finder: _Finder, what: str, output: str) -> dict[str, Value]:
        """The declared outputs. Raises Failed: what comes after this step would go on without a value."""
        if finder.too_slow:
            text = f"outputs.{finder.too_slow} searched a line for {_SEARCH_SECONDS:g} s without an end"
            raise Failed(f"{what} has run, but {text}: use a simpler pattern", output)
        values: dict[str, Value] = {}
        for name, captured in self.captured.items():
            if name not in finder.found:
                raise Failed(f"{what} has run, but no line of its output has outputs.{name}", output)
            text = finder.found[name]
            if len(text) > LONGEST_VALUE:
                raise Failed(f"{what} has run, but outputs.{name} is longer than {LONGEST_VALUE}", output)
            value: Value = as_number(text) if captured.number else text
            if value is None:
                raise Failed(f"{what} has run, but outputs.{name} is no number: {text[:40]!r}", output)
            values[name] = value
        return values

    def _job(self, call: Call, argv: tuple[str, ...], script: str | None = None) -> Job:
        given = {"MAINT_RUN": call.run, "MAINT_KEY": call.key, "MAINT_REQUESTER": call.requester}
        return Job(
            argv=argv,
            environment={"LANG": "C.UTF-8", **given, **self.environment},
            directory=self.directory,
            stdin=self.stdin,
            script=script,
            grace=self.grace,
            longest=self.timeout + self.grace + SLACK,
        )

    def _options(self) -> tuple[str, ...]:
        """The rest of what a plan says: no value of the environment or of stdin, which may be secret."""
        found = []
        if self.directory:
            found.append(f"in {one_line(self.directory)}")
        if self.environment:
            found.append(f"with {', '.join(self.environment)} in its environment")
        if self.stdin:
            found.append(f"with {len(self.stdin):,} characters on its standard input")
        if self.success != (0,) or self.warning:
            warning = f", {_codes(self.warning)} a warning" if self.warning else ""
            found.append(f"exit code {_codes(self.success)} is success{warning}")
        return (*found, f"ended after {show_duration(self.timeout)}")


def shown(argv: Sequence[str]) -> str:
    """A command as it would be typed, in one line."""
    return one_line(shlex.join(argv), LONGEST_SHOWN)


def _codes(codes: Sequence[int]) -> str:
    return ", ".join(map(str, codes))


def _how_it_ended(code: int) -> str:
    if code == -9:
        return "was killed (signal 9): was there too little memory?"
    return f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
