"""Alerts with labels, as Alertmanager and Grafana send them: which label says what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from bot.hooks.outside import SUMMARY, address, key_of, moment, not_ahead, shortened, text, texts
from bot.hooks.told import ONE_OR_MORE, Known, Receiver, Told, Unreadable
from runbooks.spec.model import Spec
from runbooks.watch.fingerprint import fingerprint
from runbooks.watch.signal import Seen, Signal

#: Characters of a fingerprint; Alertmanager's have 16.
_FINGERPRINT = 200
_STATUSES = {"firing": Seen.BAD, "resolved": Seen.WELL}

_Names = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
    *ONE_OR_MORE,
    Field(strict=False, max_length=10),
]


class Labels(Spec):
    """Which label, or annotation, says what; of several, the first that is there."""

    severity: _Names = ("severity",)
    target: _Names = ("target", "instance")
    environment: _Names = ("environment", "env")
    owner: _Names = ("owner", "team")
    runbook: _Names = ("runbook",)


class Labelled(Receiver):
    """A sender whose alerts have labels."""

    labels: Labels = Labels()

    def told(self, name: str, body: Any, known: Known, now: datetime) -> Told:
        """What a body in the shape of Alertmanager's says. Raises Unreadable."""
        alerts = body.get("alerts") if isinstance(body, Mapping) else None
        if not isinstance(body, Mapping) or not isinstance(alerts, list):
            raise Unreadable("The body has no list of `alerts`: this hook takes the webhook of its sender.")
        found = [self._signal(name, alert, known, now) for alert in alerts]
        signals = tuple(signal for signal in found if signal is not None)
        missing, group = body.get("truncatedAlerts"), body.get("groupKey")
        return Told(
            signals=signals,
            group=group if isinstance(group, str) else "",
            left_out=min(missing, 10**9) if isinstance(missing, int) and missing > 0 else 0,
            unreadable=len(found) - len(signals),
        )

    def links(self, alert: Mapping[str, Any], annotations: Mapping[str, str]) -> Mapping[str, Any]:
        """Where one can read more, by what it is called on the card."""
        return {"Source": alert.get("generatorURL"), "Runbook": annotations.get("runbook_url")}

    def value(self, alert: Mapping[str, Any]) -> float | None:  # noqa: ARG002 - of others there may be one
        """The number that it is about."""
        return None

    def _signal(self, name: str, alert: Any, known: Known, now: datetime) -> Signal | None:
        """What one alert says; None when that cannot be read."""
        if not isinstance(alert, Mapping):
            return None
        seen = _STATUSES.get(text(alert.get("status")))
        start = moment(alert.get("startsAt"))
        sent = alert.get("labels")
        if seen is None or start is None or not isinstance(sent, Mapping) or not sent:
            return None
        labels, annotations = texts(sent), shortened(alert.get("annotations"))
        start = not_ahead(start, now)
        end = moment(alert.get("endsAt"))
        place = _place(self.labels, labels, annotations, known)
        title = text(labels.get("alertname")) or "alert without a name"
        links = {
            title: url for title, found in self.links(alert, annotations).items() if (url := address(found))
        }
        return Signal(
            fingerprint=mark(name, alert.get("fingerprint"), sent),
            source=name,
            seen=seen,
            at=min(now, start) if seen is Seen.BAD else min(now, end or now),
            severity=self.severity(_said(self.labels.severity, labels, annotations)),
            title=f"{place.target} {title}".strip(),
            summary=_summary(annotations),
            value=self.value(alert),
            runbook=place.runbook,
            target=place.target,
            environment=place.environment,
            owner=text(_said(self.labels.owner, labels, annotations)),
            channel=self.channel or "",
            key=key_of(start),
            labels=labels,
            annotations=annotations,
            links=links,
        )


def mark(name: str, sent: Any, labels: Mapping[str, Any]) -> str:
    """What makes two alerts of the hook `name` the same trouble: its sender's fingerprint, or all labels."""
    if isinstance(sent, str) and 0 < len(sent) <= _FINGERPRINT:
        return fingerprint(name, {"fingerprint": sent})
    said = {label: each if isinstance(each, str) else text(each) for label, each in labels.items()}
    return fingerprint(name, said)


@dataclass(frozen=True, kw_only=True)
class _Place:
    target: str
    environment: str
    runbook: str


def _place(which: Labels, labels: Mapping[str, str], annotations: Mapping[str, str], known: Known) -> _Place:
    """What it is about. Of a target of maint.yaml, maint.yaml says the environment, whatever is sent."""
    runbook = text(_said(which.runbook, labels, annotations))
    return place_of(
        [text(labels.get(name)) for name in which.target],
        text(_said(which.environment, labels, annotations)),
        runbook,
        known,
    )


def place_of(targets: Iterable[str], environment: str, runbook: str, known: Known) -> _Place:
    """The first of these that is a target of maint.yaml, with its port or without; else the first."""
    said = [target for target in targets if target]
    ours = [each for target in said for each in (target, _host(target)) if each in known.targets]
    target = ours[0] if ours else next(iter(said), "")
    return _Place(
        target=target,
        environment=known.targets[target].environment if ours else environment,
        runbook=runbook if runbook in known.runbooks else "",
    )


def _host(target: str) -> str:
    host, _, port = target.rpartition(":")
    return host if port.isdigit() else target


def _said(names: Iterable[str], *maps: Mapping[str, str]) -> str:
    return next((each[name] for name in names for each in maps if each.get(name)), "")


def _summary(annotations: Mapping[str, str]) -> str:
    said = (annotations.get(name) for name in ("summary", "description", "message"))
    return text(next(filter(None, said), ""), SUMMARY)
