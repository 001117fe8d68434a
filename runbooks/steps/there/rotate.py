"""Runs logrotate with a state file of its own, and says what it rotated and what that freed."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

from runbooks.steps.there.telling import Teller, Trouble

_PLACES = "/usr/sbin:/sbin:/usr/local/sbin:/opt/homebrew/sbin"
_CONSIDERED = re.compile(r"considering log (.*)")
_NEEDS = re.compile(r"\s+log needs rotating")
_GONE = re.compile(r"\s+log .* does not exist")
_ERROR = re.compile(r"error: (.*)")
#: logrotate's exit code when another one has the state file.
_LOCKED = 3
_SAID = 50


def main(asked: dict[str, Any], teller: Teller) -> dict[str, Any]:
    """Looks what is to be rotated, and unless it is a preview, rotates it. Raises Trouble."""
    program = shutil.which("logrotate", path=f"{os.environ.get('PATH', os.defpath)}:{_PLACES}")
    if program is None:
        raise Trouble("logrotate is not installed there: apt-get install logrotate, or your system's package")
    with _config(asked) as config:
        state = asked["state"] or _own_state(asked)
        rest = ["--state", state, config]
        said = _run([program, "--debug", *rest], asked, state, config)
        considered, due = _read(said)
        if asked["preview"]:
            sizes = [_size(each) for each in due]
            return _result(considered, due, sum(sizes), 0, said)
        before = _sizes(considered)
        teller.say(f"{len(due):,} of {len(considered):,} logs are to be rotated")
        force = ["--force"] if asked["force"] else []
        said = _run([program, *force, "--verbose", *rest], asked, state, config)
        considered, due = _read(said)
        freed = max(0, before - _sizes(considered))
    return _result(considered, due, before, freed, said)


@contextlib.contextmanager
def _config(asked: dict[str, Any]) -> Iterator[str]:
    """The file with the rules: one that is there, or a private one with those that the runbook has."""
    if not asked["rules"]:
        if not os.path.exists(asked["config"]):
            raise Trouble(f"{asked['config']} does not exist")
        yield asked["config"]
        return
    folder = tempfile.mkdtemp(prefix="maint-")
    try:
        path = os.path.join(folder, "rules")
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(asked["rules"])
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _own_state(asked: dict[str, Any]) -> str:
    # Never the system's: two that rotate the same by one state file would each believe the other had not.
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    folder = os.path.join(base, "maint", "logrotate")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    name = hashlib.sha256((asked["rules"] or asked["config"]).encode()).hexdigest()[:16]
    return os.path.join(folder, f"{name}.status")


def _run(argv: list[str], asked: dict[str, Any], state: str, config: str) -> str:
    words = ["sudo", "-n", *argv] if asked["sudo"] else argv
    try:
        ended = subprocess.run(  # noqa: S603 - a list of arguments
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except FileNotFoundError:
        raise Trouble(f"{words[0]} is not installed there") from None
    said = ended.stdout.decode(errors="backslashreplace")
    errors = [found[1] for line in said.splitlines() if (found := _ERROR.search(line))]
    if ended.returncode == 0 and not errors:
        return said
    if ended.returncode == _LOCKED or any("already locked" in each for each in errors):
        raise Trouble(f"another logrotate is at work with {state}: nothing was done")
    why = "; ".join(errors[:3]) or said.strip().rpartition("\n")[2] or f"it ended with {ended.returncode}"
    raise Trouble(f"logrotate: {why}{_advice(why, argv, asked, config)}")


def _advice(why: str, argv: list[str], asked: dict[str, Any], config: str) -> str:
    """Which privilege it takes, where it was one that it lacked."""
    lacking = ("ermission denied", "a password is required", "not allowed", "a terminal is required")
    if not any(each in why for each in lacking) and "not permitted" not in why:
        return ""
    if asked["rules"] and not asked["sudo"]:
        return f". {getpass.getuser()} there must be able to write to the logs' folder, and to read the logs"
    program, state = argv[0], argv[-2]
    commands = [f"{program} {each} --state {state} {config}" for each in ("--debug", "--verbose")]
    if asked["force"]:
        commands[1] = commands[1].replace("--verbose", "--force --verbose")
    return (
        f". It takes `sudo: true` in the step, and in sudoers there: "
        f"{getpass.getuser()} ALL=(root) NOPASSWD: {', '.join(commands)}"
    )


def _read(said: str) -> tuple[list[str], list[str]]:
    """The logs that were considered, and those of them that are due."""
    considered: list[str] = []
    due: list[str] = []
    for line in said.splitlines():
        if found := _CONSIDERED.match(line):
            considered.append(found[1])
        elif _GONE.match(line) and considered:
            considered.pop()  # a pattern that matches nothing
        elif _NEEDS.match(line) and considered and considered[-1] not in due:
            due.append(considered[-1])
    return considered, due


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _sizes(logs: list[str]) -> int:
    """Bytes of the logs with everything that was rotated from them."""
    known: dict[tuple[int, int], int] = {}
    for log in logs:
        folder, name = os.path.split(log)
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(os.path.splitext(name)[0]):
                    status = entry.stat(follow_symlinks=False)
                    known[status.st_dev, status.st_ino] = status.st_size
    return sum(known.values())


def _result(considered: list[str], due: list[str], size: int, freed: int, said: str) -> dict[str, Any]:
    return {
        "considered": len(considered),
        "due": len(due),
        "names": due[:_SAID],
        "bytes": size,
        "freed": freed,
        "said": said[-20_000:],
    }
