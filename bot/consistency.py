"""What the parts of maint.yaml say about each other: roles, commands, environments, channels, hosts.

This reads the document, not the model, so that a fault in one part does not hide those in another.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from runbooks.access import DIRECT
from runbooks.access.grants import Permission
from runbooks.errors import Fault
from runbooks.nearest import did_you_mean
from runbooks.spec.runbook import Runbook
from runbooks.spec.runbook_step import RunbookStep
from runbooks.spec.source import Document, KeyPath
from runbooks.steps.gate import Gate
from runbooks.steps.holders import ROLE
from runbooks.steps.manual import Manual
from runbooks.steps.rollout import Rollout
from runbooks.targets import TargetBase

_CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]+")


def inconsistencies(
    document: Document, commands: Collection[str], runbooks: Collection[str] | None
) -> Iterable[Fault]:
    """Every fault of this kind. `runbooks`: the names of those there are, None when that is not known."""
    yield from _targets(document)
    if DIRECT in _keys(document, ("slack", "channels")):
        message = f"`{DIRECT}` means direct messages; call the channel something else"
        yield document.fault(("slack", "channels", DIRECT), message, at_key=True)
    channels = _keys(document, ("slack", "channels"))
    places: tuple[KeyPath, ...] = (("audit", "anchors", "channel"), ("alerts", "channel"))
    for kept in places:
        if _is_said(document, kept) and document.get(kept) not in channels:
            hint = did_you_mean(document.get(kept), channels) or "name it under `slack: channels:`"
            yield document.fault(kept, f"there is no channel `{document.get(kept)}`", hint)
    named = _Named(document=document, commands=commands, runbooks=runbooks)
    for key in ("grants", "terminal"):
        for index in range(_length(document, (key,))):
            yield from named.faults((key, index))


@dataclass(frozen=True, kw_only=True)
class _Named:
    """What grants may name."""

    document: Document
    commands: Collection[str]
    runbooks: Collection[str] | None

    def faults(self, grant: KeyPath) -> Iterable[Fault]:
        """Every fault of one grant."""
        document = self.document
        roles = _keys(document, ("roles",))
        channels = _keys(document, ("slack", "channels"))
        yield from self._role((*grant, "role"), roles)
        if not document.get((*grant, "commands")) and not document.get((*grant, "runbooks")):
            does = "denies" if document.get((*grant, "deny")) is True else "allows"
            yield document.fault(grant, f"this grant {does} nothing", "give it `commands:` or `runbooks:`")
        for name in Permission.filled:
            if name in _keys(document, grant):
                message = f"`{name}` is where the grant is written"
                yield document.fault((*grant, name), message, "remove this line", at_key=True)
        yield from _unknown(document, (*grant, "commands"), "command", self.commands)
        if self.runbooks is not None:
            yield from _unknown(document, (*grant, "runbooks"), "runbook", self.runbooks)
        places = _environments(document)
        yield from _unknown(document, (*grant, "environments"), "target in the environment", places)
        yield from _unknown(document, (*grant, "targets"), "target", _keys(document, ("targets",)))
        yield from _unknown(
            document, (*grant, "channels"), "channel", {*channels, DIRECT}, also=_CHANNEL_ID.fullmatch
        )
        yield from self._approval(grant, roles)

    def _role(self, at: KeyPath, roles: Collection[str]) -> Iterable[Fault]:
        role = self.document.get(at)
        if _is_said(self.document, at) and role not in roles:
            hint = did_you_mean(role, roles) or "name it under `roles:`"
            yield self.document.fault(at, f"there is no role `{role}`", hint)

    def _approval(self, grant: KeyPath, roles: Collection[str]) -> Iterable[Fault]:
        document, at = self.document, (*grant, "approval")
        if document.get(at) is None:
            return
        if document.get((*grant, "deny")) is True:
            message = "what is denied nobody can approve"
            yield document.fault(at, message, "remove `approval:` or `deny:`", at_key=True)
        elif not document.get((*grant, "runbooks")):
            message = "an approval is of runs: a command does not wait for one"
            yield document.fault(at, message, "give the grant `runbooks:`", at_key=True)
        for index in range(_length(document, (*at, "by"))):
            holder = document.get((*at, "by", index))
            if isinstance(holder, str) and ROLE.fullmatch(holder):
                yield from self._role((*at, "by", index), roles)


def unknown_names(document: Document, runbook: Runbook) -> Iterable[Fault]:
    """Channels and roles that a runbook or its steps name, and maint.yaml does not know."""
    channels, roles = _keys(document, ("slack", "channels")), _keys(document, ("roles",))
    named = [(0, runbook.channel), (0, runbook.alerts.channel)]
    named += [(0, schedule.channel or "") for schedule in runbook.schedule]
    for step in (*runbook.steps, *runbook.rollback):
        for each in (step, *step.steps, *([step.rollback] if step.rollback else [])):
            asked = _asked(each)
            named.append((each.line, str(asked.get("channel") or "")))
            for role in _roles(asked):
                if role not in roles:
                    hint = did_you_mean(role, roles) or "name it in maint.yaml under `roles:`"
                    yield Fault(runbook.path, each.line, 0, f"there is no role `{role}`", hint)
    for line, channel in named:
        if channel and "{{" not in channel and channel not in channels:
            hint = did_you_mean(channel, channels) or "name it in maint.yaml under `slack: channels:`"
            yield Fault(runbook.path, line, 0, f"there is no channel `{channel}`", hint)


def channelless_reports(runbook: Runbook) -> Iterable[Fault]:
    """Reports on a schedule that would go nowhere."""
    for schedule in runbook.schedule:
        if schedule.report != "none" and not (schedule.channel or runbook.channel):
            message = f"the report `{schedule.report}` has no channel to go to"
            yield Fault(runbook.path, 0, 0, message, "give the schedule `channel:`")


def where_there_are_channels(document: Document, runbook: Runbook) -> Runbook:
    """The runbook with those of its schedules whose channel maint.yaml has: of what ships, the others wait
    for a team that gives one that name."""
    channels = _keys(document, ("slack", "channels"))
    there = tuple(each for each in runbook.schedule if not each.channel or each.channel in channels)
    return runbook if there == runbook.schedule else replace(runbook, schedule=there)


def unknown_remedies(runbook: Runbook, runbooks: Collection[str]) -> Iterable[Fault]:
    """Runbooks and steps under `remedies:` that there are not."""
    steps = [step.id for step in runbook.steps]
    for remedy in runbook.remedies:
        if remedy.runbook not in runbooks:
            hint = did_you_mean(remedy.runbook, runbooks) or "a remedy is the name of a runbook"
            yield Fault(runbook.path, 0, 0, f"there is no runbook `{remedy.runbook}` to help", hint)
        for id_ in remedy.steps:
            if id_ not in steps:
                hint = did_you_mean(id_, steps) or f"there are: {', '.join(steps)}"
                yield Fault(runbook.path, 0, 0, f"there is no step `{id_}` to help", hint)


def _asked(step: RunbookStep) -> Mapping[str, Any]:
    """The fields of a step that say whom it asks and where; of a rollout those of its gate."""
    if step.kind == Rollout.kind:
        between = step.fields.get("between")
        gate = between.get("gate") if isinstance(between, Mapping) else None
        return gate if isinstance(gate, Mapping) else {}
    return step.fields if step.kind in (Gate.kind, Manual.kind) else {}


def _roles(asked: Mapping[str, Any]) -> Iterable[str]:
    for key in ("approvers", "who", "then", "assign"):
        value = asked.get(key)
        for holder in value if isinstance(value, list | tuple) else [value]:
            if isinstance(holder, str) and ROLE.fullmatch(holder):
                yield holder


def _targets(document: Document) -> Iterable[Fault]:
    hosts = [
        name for name in _keys(document, ("targets",)) if document.get(("targets", name, "type")) == "host"
    ]
    for target in _keys(document, ("targets",)):
        for field in TargetBase.filled:
            if field in _keys(document, ("targets", target)):
                message = f"a target's name is its key: `{target}`"
                yield document.fault(("targets", target, field), message, "remove this line", at_key=True)
        host: KeyPath = ("targets", target, "host")
        of_host = document.get(("targets", target, "type")) in ("logs", "postgres")
        if of_host and _is_said(document, host):
            name = document.get(host)
            if name not in hosts:
                known = f"there are: {', '.join(hosts)}" if hosts else "there is none"
                hint = did_you_mean(name, hosts) or known
                yield document.fault(host, f"`{name}` is no target of the type host", hint)
        yield from _way(document, target, hosts)


def _way(document: Document, target: str, hosts: Collection[str]) -> Iterable[Fault]:
    """What is wrong with the machine through which a target is reached."""
    via: KeyPath = ("targets", target, "via")
    if document.get(("targets", target, "type")) not in ("postgres", "redis") or not _is_said(document, via):
        return
    name = document.get(via)
    away = [host for host in hosts if document.get(("targets", host, "ssh")) is not None]
    known = f"there are: {', '.join(away)}" if away else "there is none with `ssh:`"
    if name not in hosts:
        hint = did_you_mean(name, away) or known
        yield document.fault(via, f"`{name}` is no target of the type host", hint)
    elif name not in away:
        message = f"`{name}` has no `ssh:`: it is this machine"
        yield document.fault(via, message, "give it `ssh:`, or leave `via:` out")


def _environments(document: Document) -> set[str]:
    default = str(TargetBase.model_fields["environment"].default)
    written = [document.get(("targets", name, "environment")) for name in _keys(document, ("targets",))]
    return {name if isinstance(name, str) else default for name in written}


def _unknown(
    document: Document,
    at: KeyPath,
    what: str,
    known: Collection[str],
    also: Callable[[str], object] = lambda _: False,
) -> Iterable[Fault]:
    for index in range(_length(document, at)):
        path = (*at, index)
        pattern = document.get(path)
        if not _is_said(document, path) or pattern in known or pattern == "*" or also(pattern):
            continue
        beginning = pattern.removesuffix("*")
        if "*" in beginning:
            yield document.fault(path, f"`{pattern}`: a * stands only at the end of a name")
        elif beginning == pattern or not any(name.startswith(beginning) for name in known):
            hint = did_you_mean(beginning, known) or f"there are: {', '.join(sorted(known)) or 'none'}"
            yield document.fault(path, f"there is no {what} `{pattern}`", hint)


def _is_said(document: Document, path: KeyPath) -> bool:
    """Whether it is a text; anything else is at fault already."""
    return isinstance(document.get(path), str) and path not in document.broken


def _keys(document: Document, path: KeyPath) -> list[str]:
    value = document.get(path)
    return list(value) if isinstance(value, dict) else []


def _length(document: Document, path: KeyPath) -> int:
    value = document.get(path)
    return len(value) if isinstance(value, list) else 0
