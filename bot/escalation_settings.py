"""`escalation:` and `rotations:` in maint.yaml: who hears of trouble, by what, and whether that can work."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from pydantic import Field

from bot.notify import AnyService
from bot.notify.opsgenie import Opsgenie
from bot.notify.pagerduty import PagerDuty
from runbooks.errors import ConfigError, Fault
from runbooks.nearest import did_you_mean
from runbooks.spec.model import Name
from runbooks.spec.runbook import Runbook
from runbooks.spec.source import Document, KeyPath, read
from runbooks.spec.validate import validate
from runbooks.steps.holders import ROLE
from runbooks.watch import policies
from runbooks.watch.own_escalation import own_policy, rules_of
from runbooks.watch.policies import DIRECT, MENTION, PAGE, Router, make_router, on_call_at
from runbooks.watch.rotations import Rotation

#: What ships beside the router.
DEFAULTS = Path(policies.__file__).with_name("default_escalation.yaml")
_WORDS = (MENTION, DIRECT, PAGE)


class EscalationSettings(policies.Escalation):
    """Policies and routes, before those that ship (unless `defaults: false`); how people are told outside of
    Slack; and where it is said that something does not arrive."""

    defaults: bool = True
    fallback: Name | None = None
    services: dict[Name, AnyService] = Field(default_factory=dict)

    def router(self, runbooks: Iterable[Runbook] = ()) -> Router:
        """The routes and policies that hold, with what these runbooks say themselves."""
        rules = rules_of(runbooks)

        def own(trouble: policies.Trouble) -> tuple[str, policies.Policy] | None:
            found = own_policy(rules.get(trouble.runbook, ()), trouble)
            return (f"{trouble.runbook} itself", found) if found else None

        return make_router(self, shipped() if self.defaults else policies.Escalation(), own)

    def kinds(self) -> Mapping[str, str]:
        """The kind of each service."""
        return {name: service.type for name, service in self.services.items()}

    def secrets(self) -> list[str]:
        """What must not be shown."""
        return [secret for service in self.services.values() for secret in service.secrets()]


@cache
def shipped() -> policies.Escalation:
    """The policies and routes that ship. Raises ConfigError. Blocks."""
    document = read(DEFAULTS)
    found, faults = validate(document, policies.Escalation)
    if found is None or faults or document.faults:
        raise ConfigError([*document.faults, *faults])
    return found


def escalation_faults(
    document: Document,
    escalation: EscalationSettings,
    rotations: Mapping[str, Rotation],
    roles: Iterable[str],
    channels: Iterable[str],
) -> Iterable[Fault]:
    """Names that nothing in maint.yaml has: policies, channels, services, and people."""
    checked = _Checked(document, escalation, {*rotations}, {*roles}, {*channels})
    yield from checked.faults()


def unknown_policies(escalation: EscalationSettings, runbook: Runbook) -> Iterable[Fault]:
    """Policies that gates of a runbook name, and nobody knows."""
    known = escalation.router().policies
    for step in (*runbook.steps, *runbook.rollback):
        for each in (step, *step.steps, *([step.rollback] if step.rollback else [])):
            fields = each.fields
            between = fields.get("between")
            gate = between.get("gate") if isinstance(between, Mapping) else fields
            name = gate.get("policy") if isinstance(gate, Mapping) else None
            if isinstance(name, str) and name not in known and "{{" not in name:
                hint = did_you_mean(name, known) or "name it in maint.yaml under `escalation: policies:`"
                yield Fault(runbook.path, each.line, 0, f"there is no policy `{name}`", hint)


def unknown_callees(rotations: Iterable[str], roles: Iterable[str], runbook: Runbook) -> Iterable[Fault]:
    """Roles and rotations that a runbook's `escalation:` calls, and nobody knows."""
    known = {*rotations, *roles}
    for each in runbook.escalation:
        if ROLE.fullmatch(each.to) and each.to not in known:
            hint = did_you_mean(each.to, known) or "name it in maint.yaml under `rotations:` or `roles:`"
            yield Fault(runbook.path, 0, 0, f"there is no rotation or role `{each.to}` to call", hint)


class _Checked:
    """One maint.yaml."""

    def __init__(
        self,
        document: Document,
        escalation: EscalationSettings,
        rotations: set[str],
        roles: set[str],
        channels: set[str],
    ) -> None:
        self._document = document
        self._said = escalation
        self._rotations = rotations
        self._roles = roles
        self._channels = channels

    def faults(self) -> Iterable[Fault]:
        document, said = self._document, self._said
        for name in sorted(self._rotations & self._roles):
            message = f"`{name}` is a role as well: nobody could tell which is called"
            yield document.fault(("rotations", name), message, "call one of them something else", at_key=True)
        for name in sorted({*said.services} & {*_WORDS}):
            place: KeyPath = ("escalation", "services", name)
            yield document.fault(place, f"`{name}` means something else", "call it otherwise", at_key=True)
        if said.fallback is not None:
            yield from self._known(("escalation", "fallback"), "channel", said.fallback, self._channels)
        known = said.router().policies
        for index, route in enumerate(said.routes):
            at: KeyPath = ("escalation", "routes", index)
            if route.policy is not None:
                yield from self._known((*at, "policy"), "policy", route.policy, {*known})
            if route.channel is not None:
                yield from self._known((*at, "channel"), "channel", route.channel, self._channels)
        for name, policy in said.policies.items():
            for index, level in enumerate(policy.levels):
                at = ("escalation", "policies", name, "levels", index)
                for how in level.by:
                    yield from self._known((*at, "by"), "service", how, {*_WORDS, *said.services})
                for who in level.who:
                    yield from self._who((*at, "who"), who)

    def _who(self, at: KeyPath, who: str) -> Iterable[Fault]:
        if elsewhere := on_call_at(who):
            pagers = {n for n, s in self._said.services.items() if isinstance(s, PagerDuty | Opsgenie)}
            yield from self._known(at, "service with schedules", elsewhere[0], pagers)
        elif ROLE.fullmatch(who):
            yield from self._known(at, "rotation or role", who, self._rotations | self._roles)

    def _known(self, at: KeyPath, what: str, name: str, known: set[str]) -> Iterable[Fault]:
        if name not in known:
            hint = did_you_mean(name, known) or f"there are: {', '.join(sorted(known)) or 'none'}"
            yield self._document.fault(at, f"there is no {what} `{name}`", hint)
