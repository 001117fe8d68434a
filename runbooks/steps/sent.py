"""Programs of ours (`runbooks.steps.there`) that are run where the files are: here, or sent over ssh.

Over ssh it takes Python 3.9 or newer there, and nothing else: the modules go along as text.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from runbooks.steps.action import Action, Call, Doubtful, Failed
from runbooks.steps.job import Job
from runbooks.steps.logs import machine_of
from runbooks.steps.machine import find_machine
from runbooks.steps.process import Printed, carry_out
from runbooks.steps.program import SLACK
from runbooks.steps.reach import Reach
from runbooks.targets import HostTarget, LogsTarget
from runbooks.visible import one_line

_PACKAGE = "runbooks.steps.there"
#: That the programs can be read by.
OLDEST_PYTHON = (3, 9)
_IMPORTS = re.compile(rf"^from {re.escape(_PACKAGE)}\.(\w+) import", re.MULTILINE)
#: The exit code of env(1), timeout(1) and a shell for a program that is not there.
_NOT_FOUND = 127
_BEGINNING = """\
import sys, types
if sys.version_info < (3, 9):
    print('F"Python 3.9 or newer is needed there; it has %d.%d"' % sys.version_info[:2])
    sys.exit(0)
def _load(name, source):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
    exec(compile(source, name, "exec"), module.__dict__)
for name in ("runbooks", "runbooks.steps", "runbooks.steps.there"):
    _load(name, "")
"""


@lru_cache
def program(main: str) -> str:
    """The text of a program: that module of `there`, with all that it imports, and its `main` function."""
    sources: dict[str, str] = {}
    _collect(main, sources)
    loads = [f"_load({_PACKAGE + '.' + name!r}, {source!r})" for name, source in sources.items()]
    end = f"from {_PACKAGE}.telling import answer\nfrom {_PACKAGE}.{main} import main\nanswer(main)\n"
    return "\n".join([_BEGINNING, *loads, end])


def _collect(name: str, sources: dict[str, str]) -> None:
    """Adds the module's source after those that it imports."""
    if name not in sources:
        text = (Path(__file__).parent / "there" / f"{name}.py").read_text(encoding="utf-8")
        for other in _IMPORTS.findall(text):
            _collect(other, sources)
        sources[name] = text


@dataclass(kw_only=True)
class _Heard:
    """What the program said: lines with a mark before them, long ones in pieces."""

    call: Call
    pending: str = ""
    result: dict[str, Any] | None = None
    failure: str = ""

    async def look_at(self, lines: Sequence[str]) -> None:
        """Takes the next lines."""
        for line in lines:
            mark, text = line[:1], line[1:].rstrip("\n")
            if mark == "+":
                self.pending += text
                continue
            whole, self.pending = self.pending + text, ""
            if mark == "T":
                self.call.tell(one_line(json.loads(whole)))
            elif mark == "R":
                self.result = json.loads(whole)
            elif mark == "F":
                self.failure = json.loads(whole)


def call_of(reach: Reach) -> Call:
    """What an action is handed that only looks, for a plan."""
    return Call(
        targets=reach.targets,
        connections=reach.connections,
        key="",
        run="",
        requester="",
        now=reach.now,
        memory=reach.memory,
    )


def job_of(action: Action[Any], main: str, asked: Mapping[str, Any], *, there: bool) -> Job:
    """That program of ours, and what it is asked for. `there`: it runs on another machine than Maint."""
    return Job(
        argv=("python3" if there else sys.executable, "-I"),
        environment={"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
        stdin=json.dumps(asked),
        script=program(main),
        grace=action.grace,
        longest=action.timeout + action.grace + SLACK,
    )


async def run_there(
    action: Action[Any],
    target: HostTarget | LogsTarget,
    call: Call,
    main: str,
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    """What that program of ours comes to, on the target's machine.

    Raises StepError when it did not run, Failed when it says that it failed, Doubtful when nobody knows.
    """
    reach = Reach(targets=call.targets, connections=call.connections, now=call.now)
    host = target if isinstance(target, HostTarget) else reach.targets.get(target.host or "")
    there = isinstance(host, HostTarget) and host.ssh is not None
    job = job_of(action, main, asked, there=there)
    python = job.argv[0]
    heard = _Heard(call=call)
    printed = Printed(lambda _: None, heard.look_at, shown=True)

    async def find() -> Any:
        if isinstance(target, LogsTarget):
            return await machine_of(target, reach)
        return await find_machine(target, reach)

    code = await carry_out(find, job, printed, action.timeout, action.seconds)
    if heard.result is not None and code == 0:
        return heard.result
    where = "this machine" if not there else target.where()
    if heard.failure:
        raise Failed(f"on {where}: {one_line(heard.failure, 1000)}")
    if code == _NOT_FOUND:
        raise Failed(f"{where} has no {python}: install Python 3.9 or newer there; nothing was done")
    said = one_line(printed.last_error) or f"it ended with {code}"
    # What it had done by then, it did not say.
    raise Doubtful(f"the program on {where} did not come to its end: {said}")
