"""`logs.rotate`: logrotate, by rules of the machine or of the runbook, with a state file of its own."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from runbooks.spec.model import parse_duration
from runbooks.steps.action import Action, ActionTimeout, Call, Done, Preview, Risk
from runbooks.steps.reach import Reach
from runbooks.steps.sent import call_of, run_there
from runbooks.steps.step import Output
from runbooks.steps.units import show
from runbooks.targets import HostTarget
from runbooks.visible import one_line


def _whole_path(path: str) -> str:
    if path and (not path.startswith("/") or "\0" in path):
        raise ValueError("a whole path, from / on")
    return path


Path = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_whole_path)]


class Rotate(Action[HostTarget]):
    """Lets logrotate decide what is due; `force` rotates whatever the rules name."""

    kind: ClassVar[str] = "logs.rotate"
    title: ClassVar[str] = "Rotate logs"
    needs: ClassVar[type[HostTarget]] = HostTarget
    safe_to_repeat: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Output]] = {
        "considered": Output(title="logs"),
        "rotated": Output(title="rotated"),
        "bytes": Output(title="bytes", unit="bytes"),
        "freed_bytes": Output(title="freed", unit="bytes"),
    }

    target: str
    timeout: ActionTimeout = parse_duration("30m")
    config: Path = ""
    rules: Annotated[str, Field(max_length=100_000)] = ""
    state: Path = ""
    force: bool = False
    sudo: bool = False
    show_only: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.config) == bool(self.rules):
            raise ValueError(
                "needs one of `config:` (a path there) and `rules:` (logrotate's, in the runbook)"
            )
        if self.rules and self.sudo:
            # A rule may name any program: whoever may have any rules carried out as root is root.
            raise ValueError("`sudo:` goes with `config:` alone, a file that only root writes there")
        if self.sudo and not self.state:
            raise ValueError("`sudo:` needs `state:`, so that a line for sudo can name it")
        return self

    @property
    def risk(self) -> Risk:  # type: ignore[override] # a preview only looks
        """Rotating is easily put right; rotating by force loses the oldest."""
        if self.show_only:
            return Risk.READ
        return Risk.MEDIUM if self.force else Risk.LOW

    @property
    def repeatable(self) -> bool:
        """logrotate does nothing the second time, unless it is forced."""
        return self.show_only or not self.force

    def lines(self, target: HostTarget) -> tuple[str, ...]:
        """By which rules, where, and how."""
        what = self.config or f"{len(self.rules.splitlines())} lines of rules"
        verb = "asks logrotate what it would do" if self.show_only else "runs logrotate"
        found = [one_line(f"{verb} on {target.name} ({target.where()}) by {what}", 500)]
        found.append(f"its state is in {self.state or 'a file of its own'}, never in the system's")
        if self.sudo:
            found.append("as root, through sudo")
        if not self.show_only:
            found.append("--force: whatever is due or not" if self.force else "only what is due by its state")
        found += [f"  {one_line(line)}" for line in self.rules.splitlines()]
        return tuple(found)

    def plan_warnings(self, targets: Mapping[str, object]) -> tuple[str, ...]:  # noqa: ARG002 - the hook
        """What forcing costs."""
        if self.force and not self.show_only:
            return (
                "--force rotates at every run: with `rotate 3`, three runs leave the last three files only",
            )
        return ()

    def _asked(self, *, preview: bool) -> dict[str, Any]:
        return {
            "config": self.config,
            "rules": self.rules,
            "state": self.state,
            "force": self.force,
            "sudo": self.sudo,
            "preview": preview,
        }

    async def foresee(self, target: HostTarget, reach: Reach) -> Preview | None:
        """What logrotate says that it would do at this moment."""
        found = await run_there(self, target, call_of(reach), "rotate", self._asked(preview=True))
        size = show(found["bytes"], "bytes")
        said = f"now {found['due']:,} of {found['considered']:,} logs are due, {size}"
        return Preview(lines=(said, *map(one_line, found["names"][:10])))

    async def act(self, target: HostTarget, call: Call) -> Done:
        """Looks, and unless it is a preview, rotates."""
        found = await run_there(self, target, call, "rotate", self._asked(preview=self.show_only))
        size = show(found["bytes"], "bytes")
        if self.show_only:
            said = f"{found['due']:,} of {found['considered']:,} logs would be rotated, {size}"
        else:
            freed = show(found["freed"], "bytes")
            said = f"{found['due']:,} of {found['considered']:,} logs rotated, {freed} of {size} freed"
        none = () if found["considered"] else ("the rules match no log that is there",)
        return Done(
            values={
                "considered": found["considered"],
                "rotated": 0 if self.show_only else found["due"],
                "bytes": found["bytes"],
                "freed_bytes": found["freed"],
            },
            summary=said,
            output="\n".join([*map(one_line, found["names"]), "", found["said"]]).strip(),
            warnings=none,
        )
