"""A program on another machine, over ssh, with everything that it starts.

What is run there, its environment and its script go in through the session's stdin: no argument list there
shows them, and no login shell reads them. The program starts only when that has arrived whole.
"""

import asyncio
import math
import secrets
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import asyncssh

from runbooks.errors import StepError
from runbooks.steps.action import Doubtful
from runbooks.steps.job import Job, Process, Stream
from runbooks.visible import one_line

#: Seconds that the other machine's own work takes when a program is ended there.
_SLACK = 6.0
#: Lines that a login may say before ours: a .bashrc that greets.
_MOST_GREETINGS = 1000

#: Reads so many lines and runs them. `$0` is a word that only we know.
_READ_AND_RUN = (
    'nl=$(printf "\\nx"); nl=${nl%x}; s=; i=0; printf "%s %s\\n" "$0" "$$"; '
    'while [ "$i" -lt "$1" ]; do IFS= read -r l || exit 125; s="$s$l$nl"; i=$((i+1)); done; eval "$s"'
)
#: Ends the process group $1: asks, waits for $2 seconds, kills. 0: all of it is gone.
_END = (
    "n() { sleep 0.2 2>/dev/null || sleep 1; }; l() { ps -e -o pgid= -o stat= 2>/dev/null; }; "
    'a() { l | grep -q "^ *$g  *[^ Z]"; }; g=$1; kill -s TERM -- "-$g" 2>/dev/null; '
    'l | grep -q . || { sleep "$2"; kill -s KILL -- "-$g" 2>/dev/null; exit 3; }; '
    'e=$(($(date +%s)+$2+1)); while a && [ "$(date +%s)" -lt "$e" ]; do n; done; a || exit 0; '
    'kill -s KILL -- "-$g" 2>/dev/null; i=0; while a && [ "$i" -lt 10 ]; do n; i=$((i+1)); done; '
    "a && exit 4; exit 0"
)


def _shell(text: str, *arguments: str) -> str:
    return shlex.join(["/bin/sh", "-c", text, *arguments])


def _orders(job: Job) -> str:
    """The lines that the shell there reads and runs: always whole, as `read` takes one after the other."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in job.environment.items()]
    lines += ["command -v timeout >/dev/null || { echo 'timeout (coreutils) is missing' >&2; exit 125; }"]
    if job.directory is not None:
        lines.append(f"cd -- {shlex.quote(job.directory)} || exit 125")
    # It ends there by itself when we are not heard of any more.
    argv = ["timeout", "-k", _seconds(job.grace), _seconds(job.longest), *job.argv]
    script = ""
    if job.script is not None:
        lines += [
            'f=$(umask 077; mktemp "${TMPDIR:-/tmp}/maint.XXXXXX") || exit 125',
            f'printf %s {shlex.quote(job.script)} > "$f" || exit 125',
            'exec 8< "$f"; rm -f -- "$f"',  # it is read through the descriptor: nothing stays behind
        ]
        script = " /dev/fd/9 9<&8"
    lines += ['printf "%s started\\n" "$0"', f"exec {shlex.join(argv)}{script}"]
    return "\n".join(lines) + "\n"


def _seconds(value: timedelta) -> str:
    return str(math.ceil(value.total_seconds()))


@asynccontextmanager
async def begin_there(
    connection: asyncssh.SSHClientConnection, job: Job, where: str
) -> AsyncIterator[Process]:
    """The program, not started yet: it does not start unless the connection holds until then."""
    orders = _orders(job)
    word = f"maint-{secrets.token_hex(8)}"
    command = _shell(_READ_AND_RUN, word, str(orders.count("\n")))
    process: asyncssh.SSHClientProcess[bytes] = await connection.create_process(command, encoding=None)
    try:
        group = await _line_after(process, f"{word} ", where)
        if group is None:
            raise StepError(await _not_started(process, job, where))
        yield _SshProcess(connection, process, job, where, (word, orders, int(group)))
    finally:
        process.close()


async def _line_after(process: asyncssh.SSHClientProcess[bytes], word: str, where: str) -> str | None:
    """What stands after that word at the beginning of a line; None when nothing more comes."""
    for _ in range(_MOST_GREETINGS):
        try:
            line: bytes = await process.stdout.readline()
        except (asyncssh.Error, OSError):
            return None
        if not line:
            return None
        if line.startswith(word.encode()):
            return line.decode()[len(word) :].strip()
    raise StepError(f"the login shell of {where} says more than {_MOST_GREETINGS} lines by itself")


async def _not_started(process: asyncssh.SSHClientProcess[bytes], job: Job, where: str) -> str:
    said = b""
    with suppress(asyncssh.Error, OSError):
        said = await process.stderr.read(2000)
    why = one_line(said.decode(errors="replace").strip().rpartition("\n")[2]) or "the session ended"
    return f"`{job.argv[0]}` was not started on {where}: {why}"


class _Quiet:
    """A stream that is at its end when the connection is lost."""

    def __init__(self, stream: asyncssh.SSHReader[bytes]) -> None:
        self._stream = stream

    async def read(self, n: int = -1) -> bytes:
        try:
            return await self._stream.read(n)
        except (asyncssh.Error, OSError):
            return b""


class _SshProcess:
    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        process: asyncssh.SSHClientProcess[bytes],
        job: Job,
        where: str,
        start: tuple[str, str, int],
    ) -> None:
        self.stdout: Stream = _Quiet(process.stdout)
        self.stderr: Stream = _Quiet(process.stderr)
        self._connection = connection
        self._process = process
        self._job = job
        self._where = where
        self._word, self._orders, self._group = start

    async def start(self) -> None:
        try:
            self._process.stdin.write(self._orders.encode())
            await self._process.stdin.drain()
        except (asyncssh.Error, OSError) as error:
            raise Doubtful(self._lost()) from error
        if await _line_after(self._process, f"{self._word} started", self._where) is not None:
            return
        if await self.wait() is None:
            raise Doubtful(self._lost())
        raise StepError(await _not_started(self._process, self._job, self._where))

    def _lost(self) -> str:
        return f"the ssh connection with {self._where} was lost when `{self._job.argv[0]}` was to start"

    async def write(self) -> None:
        stdin = self._process.stdin
        with suppress(asyncssh.Error, OSError):  # the program has ended, or reads no more
            stdin.write(self._job.stdin.encode())
            await stdin.drain()
            stdin.write_eof()

    async def wait(self) -> int | None:
        # The session stays open while a child of the program holds its output, so both are looked at.
        closed = asyncio.ensure_future(self._process.wait_closed())
        try:
            while not closed.done() and self._process.returncode is None:
                await asyncio.wait({closed}, timeout=0.2)
        finally:
            closed.cancel()
        return self._process.returncode

    async def end(self, grace: timedelta) -> bool:
        command = _shell(_END, "maint-end", str(self._group), _seconds(grace))
        try:
            async with asyncio.timeout(grace.total_seconds() + _SLACK):
                ended = await self._connection.run(command, stdin=asyncssh.DEVNULL, encoding=None)
        except (asyncssh.Error, OSError, TimeoutError):
            return False
        return ended.exit_status == 0
