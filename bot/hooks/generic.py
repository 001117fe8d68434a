"""Any sender of JSON: maint.yaml says where in its body what stands."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from bot.hooks.labels import mark, place_of
from bot.hooks.outside import SUMMARY, address, key_of, moment, not_ahead, number, shortened, text
from bot.hooks.told import ONE_OR_MORE, Known, Receiver, Told, Unreadable
from runbooks.spec.model import Spec
from runbooks.watch.signal import Seen, Signal

_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*")
#: Steps of a path; nothing is nested deeper.
_DEEPEST = 20


def _path(value: str) -> str:
    if not _PATH.fullmatch(value) or value.count(".") >= _DEEPEST:
        raise ValueError("a path is names and numbers with dots between them: monitor.name, events.0.state")
    return value


_Path = Annotated[str, AfterValidator(_path)]
_Words = Annotated[tuple[str, ...], *ONE_OR_MORE, Field(strict=False, min_length=1, max_length=50)]
_Field = Literal[
    "title", "summary", "severity", "target", "environment", "owner", "runbook", "value", "start", "end"
]
_Constant = Literal["title", "summary", "severity", "target", "environment", "owner", "runbook"]


class Statuses(Spec):
    """Which of the sender's words say that something is wrong, and which that it is over."""

    firing: _Words = ("firing",)
    resolved: _Words = ("resolved", "ok")


class Json(Receiver):
    """`alerts`: the way to the list of alerts; without it the body is one, or a list of them. `id`: what
    makes two the same trouble. `status`: the way to the word that says whether it is wrong. `fields`: the
    ways to the rest; `constants`: what is always so, where nothing was sent."""

    type: Literal["json"] = "json"
    alerts: _Path | None = None
    id: Annotated[tuple[_Path, ...], *ONE_OR_MORE, Field(strict=False, min_length=1, max_length=10)]
    status: _Path
    statuses: Statuses = Statuses()
    fields: dict[_Field, _Path] = Field(default_factory=dict)
    constants: dict[_Constant, Annotated[str, Field(min_length=1, max_length=500)]] = Field(
        default_factory=dict
    )
    labels: dict[str, _Path] = Field(default_factory=dict, max_length=50)
    links: dict[str, _Path] = Field(default_factory=dict, max_length=10)

    @model_validator(mode="after")
    def _has_a_title(self) -> "Json":
        if "title" not in self.fields and "title" not in self.constants:
            raise ValueError("say under `fields:` or `constants:` what the `title` is")
        both = {word.casefold() for word in self.statuses.firing} & {
            word.casefold() for word in self.statuses.resolved
        }
        if both:
            raise ValueError(f"statuses: {', '.join(sorted(both))} cannot mean both")
        return self

    def read(self, name: str, body: Any, known: Known, now: datetime) -> Told:
        """What a body says. Raises Unreadable."""
        found = at(body, self.alerts) if self.alerts else body
        alerts = found if isinstance(found, list) else [found]
        if self.alerts and not isinstance(found, list):
            raise Unreadable(f"The body has no list at `{self.alerts}`, where maint.yaml has its alerts.")
        signals = [self._signal(name, alert, known, now) for alert in alerts]
        read = tuple(signal for signal in signals if signal is not None)
        if signals and not read:
            words = ", ".join((*self.statuses.firing, *self.statuses.resolved))
            raise Unreadable(
                f"Nothing in the body has an id at {_or(self.id)} and at `{self.status}` one of: {words}."
            )
        return Told(signals=read, unreadable=len(signals) - len(read))

    def _signal(self, name: str, alert: Any, known: Known, now: datetime) -> Signal | None:
        found = {path: at(alert, path) for path in self.id}
        ids = {path: each if isinstance(each, str) else text(each) for path, each in found.items()}
        seen = self._seen(text(at(alert, self.status)))
        if seen is None or not any(ids.values()):
            return None
        said: dict[str, str] = {str(field): each for field, each in self.constants.items()}
        for field, way in self.fields.items():
            said[field] = text(at(alert, way), SUMMARY) or said.get(field, "")
        place = place_of(
            [said.get("target", "")], said.get("environment", ""), said.get("runbook", ""), known
        )
        start, end = (self._moment(alert, "start", now), self._moment(alert, "end", now))
        at_ = (start or now) if seen is Seen.BAD else (end or now)
        return Signal(
            fingerprint=mark(name, None, ids),
            source=name,
            seen=seen,
            at=min(now, at_),
            severity=self.severity(said.get("severity", "")),
            title=text(said.get("title", "")) or text(next(filter(None, ids.values()))),
            summary=said.get("summary", ""),
            value=number(at(alert, self.fields["value"])) if "value" in self.fields else None,
            runbook=place.runbook,
            target=text(place.target),
            environment=text(place.environment),
            owner=text(said.get("owner", "")),
            channel=self.channel or "",
            key=key_of(start) if start else "",
            labels=shortened({label: at(alert, way) for label, way in self.labels.items()}),
            links={title: url for title, way in self.links.items() if (url := address(at(alert, way)))},
        )

    def _seen(self, word: str) -> Seen | None:
        for seen, words in ((Seen.BAD, self.statuses.firing), (Seen.WELL, self.statuses.resolved)):
            if word and word.casefold() in (each.casefold() for each in words):
                return seen
        return None

    def _moment(self, alert: Any, field: Literal["start", "end"], now: datetime) -> datetime | None:
        found = moment(at(alert, self.fields[field])) if field in self.fields else None
        return not_ahead(found, now) if found else None


def at(body: Any, path: str) -> Any:
    """What stands at that path: `events.0.state`; None when there is nothing."""
    for step in path.split("."):
        if isinstance(body, Mapping):
            body = body.get(step)
        elif isinstance(body, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(body):
            body = body[int(step[:9])]
        else:
            return None
    return body


def _or(paths: Iterable[str]) -> str:
    return " or ".join(f"`{path}`" for path in paths)
