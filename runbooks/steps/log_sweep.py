"""What the steps share that take old files of a folder away: which ones, that they are shown before, and what
becomes of those that are open, held, or of which nobody can say."""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from runbooks.errors import StepError
from runbooks.spec.model import Duration, parse_duration, show_duration
from runbooks.steps.action import Action, ActionTimeout, Call, Done, Failed, Preview, Risk
from runbooks.steps.reach import Reach
from runbooks.steps.sent import call_of, run_there
from runbooks.steps.step import Output
from runbooks.steps.units import show
from runbooks.targets import HostTarget
from runbooks.visible import one_line

#: Folders of the system: a rule about one of them is a mistake.
_SYSTEM = frozenset(
    f"/{name}"
    for name in [
        "bin",
        "boot",
        "dev",
        "etc",
        "home",
        "lib",
        "lib64",
        "opt",
        "proc",
        "root",
        "run",
        "sbin",
        "srv",
        "sys",
        "usr",
        "var",
    ]
) | {"/", "/usr/bin", "/usr/lib", "/usr/local", "/var/lib"}


def _own_folder(path: str) -> str:
    pure = PurePosixPath(path)
    if not pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise ValueError("a folder's whole path, from / on and without `..`")
    if str(pure) in _SYSTEM:
        raise ValueError(f"{pure} is the system's: name the folder that the files are in")
    return str(pure)


def _plain(pattern: str) -> str:
    if "\0" in pattern or pattern.startswith("/"):
        raise ValueError("a name as a shell would match it (*.log.gz), or a path below the folder")
    return pattern


#: Files that a plan names.
_SHOWN = 10

Folder = Annotated[str, StringConstraints(min_length=1, max_length=4000), AfterValidator(_own_folder)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_plain)]
Patterns = Annotated[tuple[Pattern, ...], Field(strict=False, max_length=100)]


def at_least(least: timedelta) -> AfterValidator:
    """The age is not shorter than that."""

    def check(age: timedelta) -> timedelta:
        if age < least:
            raise ValueError(f"files younger than {show_duration(least)} are not touched")
        return age

    return AfterValidator(check)


Age = Annotated[Duration, at_least(timedelta(hours=1))]


_RIGHT = " Whom Maint logs in as must be able to write to the folder: setfacl -m u:USER:rwx FOLDER"
#: By what the system says of a file: what is to be done there.
_ADVICE = {
    "the disk is full": " Make room there, then repeat it",
    "File too large": " Files may not become so large there: a limit of the file system, or `ulimit -f`",
    "Permission denied": _RIGHT,
    "not permitted": _RIGHT,
    "Read-only": " It is mounted read-only",
}


class Sweep(Action[HostTarget]):
    """Takes the old files of one folder, each only when nobody has it open and it is still what it was."""

    needs: ClassVar[type[HostTarget]] = HostTarget
    safe_to_repeat: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Output]] = {
        "files": Output(title="files"),
        "bytes": Output(title="bytes", unit="bytes"),
        "freed_bytes": Output(title="freed", unit="bytes"),
        "open": Output(title="left, as somebody has them open"),
        "unknown": Output(title="left, as nobody knows who has them open"),
        "held": Output(title="held"),
        "shown": Output(title="what was shown", number=False),
    }
    #: What it does with a file, and did.
    does: ClassVar[str]
    did: ClassVar[str]
    task: ClassVar[str]
    by_use: ClassVar[bool] = False

    target: str
    timeout: ActionTimeout = parse_duration("1h")
    folder: Folder
    match: Annotated[Patterns, Field(min_length=1)]
    exclude: Patterns = ()
    hold: Patterns = ()
    older_than: Age
    recursive: bool = False
    show_only: bool = False
    shown: str = ""

    @property
    def risk(self) -> Risk:  # type: ignore[override] # a preview only looks
        """Low at least: what is gone is gone."""
        return Risk.READ if self.show_only else Risk.MEDIUM

    @property
    def agreed(self) -> str:
        """The files that were shown."""
        return "" if self.show_only else self.shown

    def lines(self, target: HostTarget) -> tuple[str, ...]:
        """Which files, where, and of which only those that were shown."""
        what = f"{', '.join(self.match)} in {self.folder}{' and below' if self.recursive else ''}"
        verb = "lists" if self.show_only else self.does
        found = [f"{verb} {one_line(what, 500)} on {target.name} ({target.where()}), {self._age()}"]
        if self.exclude or self.hold:
            found.append(one_line(f"never {', '.join((*self.exclude, *self.hold))}", 500))
        found.append("none that is open, or of which nobody can tell; no symbolic link is followed")
        if self.shown:
            found.append(f"only what was shown: {one_line(self.shown)}")
        return tuple(found)

    def _age(self) -> str:
        unit = "used" if self.by_use else "written to"
        return f"not {unit} for {show(self.older_than.total_seconds(), 's')}"

    async def foresee(self, target: HostTarget, reach: Reach) -> Preview | None:
        """How many files and bytes it would be at this moment."""
        call = call_of(reach)
        asked = {**self.asked(reach.now, await self._only(target, call)), "preview": True}
        found = await self.swept(target, call, asked)
        said = f"now {found['files']:,} files, {show(found['bytes'], 'bytes')}"
        return Preview(lines=(said, *_listing(found).splitlines()[:_SHOWN]))

    async def swept(self, target: HostTarget, call: Call, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What the program there came to."""
        return await run_there(self, target, call, "sweep", asked)

    async def act(self, target: HostTarget, call: Call) -> Done:
        """Lists, and unless it is a preview, takes what was listed."""
        only = await self._only(target, call)
        found = await self.swept(target, call, self.asked(call.now, only))
        shown = _token(found)
        if self.show_only:
            await call.memory.remember(self.kind, target.name, f"shown {shown}", found["marks"])
        done = Done(
            values={**self.values(found), "shown": shown},
            summary=self.summary(found),
            output=_listing(found),
            warnings=tuple(self._warnings(found)),
        )
        if found["failed"]["count"]:
            names = "; ".join(map(one_line, found["failed"]["names"][:3]))
            raise Failed(
                f"{found['failed']['count']:,} files of {self.folder} are as they were ({names}); "
                f"{found['files']:,} were {self.did}.{_advice(names, self.folder)}",
                done.output,
            )
        return done

    def values(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs, but for what was shown."""
        return {
            "files": found["files"],
            "bytes": found["bytes"],
            "freed_bytes": 0 if self.show_only else found["freed"],
            "open": found["open"]["count"],
            "unknown": found["unknown"]["count"],
            "held": found["held"],
        }

    def asked(self, now: Callable[[], datetime], only: Any) -> dict[str, Any]:
        """What the program there is asked for."""
        return {
            "task": self.task,
            "folder": self.folder,
            "match": self.match,
            "exclude": self.exclude,
            "hold": self.hold,
            "older_than": self.older_than.total_seconds(),
            "by_use": self.by_use,
            "recursive": self.recursive,
            "preview": self.show_only,
            "only": only,
            "now": now().timestamp(),
        }

    async def _only(self, target: HostTarget, call: Call) -> list[int] | None:
        """The marks of what was shown, if something was. Raises StepError when nobody knows it any more."""
        if not self.shown or self.show_only:
            return None
        kept = await call.memory.last(self.kind, target.name, f"shown {self.shown}")
        if kept is None:
            raise StepError(
                f"nobody knows what was shown ({one_line(self.shown)}): `shown:` is the output of a step "
                f"{self.kind} with `show_only: true` on the same target"
            )
        marks: list[int] = kept.value
        return marks

    def summary(self, found: Mapping[str, Any]) -> str:
        """What it came to, in a line."""
        many = f"{found['files']:,} files, {show(found['bytes'], 'bytes')}"
        parts = [f"{many} would be {self.did}" if self.show_only else f"{many} {self.did}"]
        if not self.show_only and found["freed"] != found["bytes"]:
            parts.append(f"{show(found['freed'], 'bytes')} freed")
        parts += [
            f"{count:,} {words}"
            for count, words in (
                (found["open"]["count"], "left, as they are open"),
                (found["held"], "held"),
                (found["left"]["count"], "left, as they were not shown or have changed"),
            )
            if count
        ]
        return ", ".join(parts)

    def _warnings(self, found: Mapping[str, Any]) -> list[str]:
        said = []
        if found["unknown"]["count"]:
            blind = (
                "there is no /proc"
                if found["blind"] is None
                else f"{found['blind']:,} processes are other users'"
            )
            said.append(
                f"{found['unknown']['count']:,} files are left: who has them open cannot be seen "
                f"({blind}). Maint's user there must own the files, or the step's target log in as who does"
            )
        if found["closed"]:
            said.append(f"not looked into: {', '.join(map(one_line, found['closed'][:5]))}")
        return said


class Deletion(Sweep):
    """Deletes files: those that a step of the same kind has shown, and no others."""

    does: ClassVar[str] = "deletes"
    did: ClassVar[str] = "deleted"
    task: ClassVar[str] = "remove"

    @model_validator(mode="after")
    def _shown_first(self) -> "Deletion":
        if not self.shown and not self.show_only:
            raise ValueError(
                f"nothing is deleted that was not shown: give it `shown:`, the output of a step {self.kind} "
                "with `show_only: true` before it"
            )
        return self


def _token(found: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(sorted(found["marks"])).encode()).hexdigest()[:12]
    return f"{found['files']} files, {found['bytes']} bytes, {digest}"


_LEFT = {"open": "open", "unknown whether open": "unknown", "left": "left", "failed": "failed"}


def _listing(found: Mapping[str, Any]) -> str:
    lines = []
    for path, size, modified in found["names"]:
        day = datetime.fromtimestamp(modified, UTC).strftime("%Y-%m-%d")
        lines.append(f"{show(size, 'bytes'):>10}  {day}  {one_line(path)}")
    rest = found["files"] - len(found["names"])
    if rest > 0:
        lines.append(f"and {rest:,} more")
    for title, name in _LEFT.items():
        lines += [f"{title}: {one_line(each, 400)}" for each in found[name]["names"]]
    return "\n".join(lines)


def _advice(said: str, folder: str) -> str:
    return next((advice for words, advice in _ADVICE.items() if words in said), "").replace("FOLDER", folder)
