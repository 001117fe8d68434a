"""Silences in Alertmanager (API v2): made for exactly one alert, ended, and looked after while they last.

The address is the one of maint.yaml; nothing that a payload says is ever called.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import structlog

from bot.hooks import AnyHook
from bot.hooks.alertmanager import Alertmanager
from bot.hooks.labels import mark
from runbooks.errors import MaintError, StepError, UsageError
from runbooks.records.alerts import Alert
from runbooks.steps.web import Answer, Unreachable, fetch, headers_of, join, open_client
from runbooks.targets import PrometheusTarget
from runbooks.visible import one_line
from runbooks.watch.alerts import Alerts
from runbooks.watch.signal import CUT

log = structlog.get_logger()

#: Seconds that one call may take, all in.
TIMEOUT = 10.0
#: Bytes of an answer: a list of all alerts is the largest.
_LARGEST_ANSWER = 32_000_000
#: Seconds between two looks at what is silenced.
LOOKS_EVERY = 60.0
#: Seconds that an Alertmanager must have run before it can say what is over: it forgets all at its end.
_KNOWS_AFTER = 900.0


class SilenceError(MaintError):
    """Alertmanager did not do it; the text says what it answered."""


class Silences:
    """Makes and ends them."""

    def __init__(self, hooks: Mapping[str, AnyHook], now: Callable[[], datetime]) -> None:
        self._now = now
        self._targets: dict[str, PrometheusTarget] = {}
        for name, hook in hooks.items():
            if isinstance(hook, Alertmanager) and (target := hook.target(name)):
                self._targets[name] = target

    @property
    def sources(self) -> Collection[str]:
        """The hooks whose Alertmanager can be asked."""
        return self._targets.keys()

    async def silence(self, alert: Alert, until: datetime, by: str, why: str) -> str:
        """Keeps back what has all labels of the alert; the silence's id. Raises MaintError."""
        if not alert.labels or CUT in alert.labels:
            raise UsageError(
                "Maint does not know all labels of this alert, and a silence could hit others: make it in "
                "Alertmanager."
            )
        matchers = [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in sorted(alert.labels.items())
        ]
        body = {
            "matchers": matchers,
            "startsAt": self._now().isoformat(),
            "endsAt": until.isoformat(),
            "createdBy": by,
            "comment": why,
        }
        answer = await self._ask(alert.source, "POST", "/api/v2/silences", body)
        made = _content(answer)
        id_ = made.get("silenceID") if isinstance(made, Mapping) else None
        if answer.status != 200 or not isinstance(id_, str) or not id_:
            raise _refused(alert.source, answer)
        return id_

    async def expire(self, alert: Alert, silence: str) -> None:
        """Ends it now, if it has not ended. Raises MaintError."""
        path = f"/api/v2/silence/{quote(silence, safe='')}"
        answer = await self._ask(alert.source, "DELETE", path)
        if answer.status in (200, 404):
            return
        # One that has ended is an error to it.
        found = _content(await self._ask(alert.source, "GET", path))
        status = found.get("status") if isinstance(found, Mapping) else None
        if not isinstance(status, Mapping) or status.get("state") != "expired":
            raise _refused(alert.source, answer)

    async def still_there(self, source: str) -> frozenset[str] | None:
        """The fingerprints, as Maint has them, of all that this Alertmanager has; None when it cannot know
        yet. Raises MaintError."""
        status = _content(await self._ask(source, "GET", "/api/v2/status"))
        try:
            started = datetime.fromisoformat(status["uptime"])
        except (KeyError, TypeError, ValueError):
            raise SilenceError(f"{source} did not say since when it runs.") from None
        if (datetime.now(UTC) - started).total_seconds() < _KNOWS_AFTER:
            return None
        answer = await self._ask(source, "GET", "/api/v2/alerts?active=true&silenced=true&inhibited=true")
        found = _content(answer)
        if answer.status != 200 or answer.cut or not isinstance(found, list):
            raise _refused(source, answer)
        return frozenset(mark(source, each["fingerprint"], {}) for each in found)

    async def _ask(self, source: str, method: str, path: str, body: Any = None) -> Answer:
        target = self._targets.get(source)
        if target is None:
            raise UsageError(
                f"Maint does not know where to ask {source}: give it `api:` under `hooks:` in maint.yaml."
            )
        url = join(target.url, path)
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                open_client(target, TIMEOUT, tls=url.scheme == "https") as client,
            ):
                return await fetch(
                    client, method, url, headers=headers_of(target), limit=_LARGEST_ANSWER, json=body
                )
        except TimeoutError:
            raise SilenceError(f"The Alertmanager {source} did not answer in {TIMEOUT:g} s.") from None
        except Unreachable as error:
            raise SilenceError(f"The Alertmanager {source} {error}.") from error
        except StepError as error:
            raise SilenceError(f"The Alertmanager {source} was not asked: {error}.") from error


class Silenced:
    """Ends the alerts that are over while their Alertmanager keeps them back: of these it says nothing."""

    def __init__(self, silences: Silences, alerts: Alerts) -> None:
        self._silences = silences
        self._alerts = alerts

    async def run(self) -> None:
        """Looks again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOKS_EVERY)
            try:
                await self.look()
            except MaintError as error:
                log.warning("hook.silenced.unknown", error=str(error))
            except Exception:
                log.exception("hook.silenced.crashed")  # the next look may do better

    async def look(self) -> None:
        """Looks once. Raises MaintError."""
        # First ours, then theirs: what is ours was theirs before.
        ours = await self._alerts.kept_back(tuple(self._silences.sources))
        for source in dict.fromkeys(alert.source for alert in ours):
            theirs = await self._silences.still_there(source)
            if theirs is not None:
                await self._alerts.gone(
                    each for each in ours if each.source == source and each.fingerprint not in theirs
                )


def _content(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def _refused(source: str, answer: Answer) -> SilenceError:
    said = one_line(answer.body[:1000].decode(errors="replace"), 300)
    return SilenceError(f"The Alertmanager {source} answered {answer.status}: {said}")
