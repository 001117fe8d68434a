"""What senders of alerts send, and sending it to a Maint that serves."""

import io
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from bot.app import Server

#: Of hooks in tests; longer than the shortest that is taken.
TOKEN = "t0ken-of-the-hooks-in-tests"
NEVER = "0001-01-01T00:00:00Z"


def alert(
    labels: Mapping[str, str], start: datetime, end: datetime | None = None, **more: Any
) -> dict[str, Any]:
    """One alert as Alertmanager 0.25 sends it."""
    return {
        "status": "resolved" if end else "firing",
        "labels": {"alertname": "Burning", "severity": "critical", **labels},
        "annotations": {"summary": "there is smoke"},
        "startsAt": start.isoformat().replace("+00:00", "Z"),
        "endsAt": end.isoformat().replace("+00:00", "Z") if end else NEVER,
        "generatorURL": "http://prometheus.example.com/graph?g0.expr=up+%3D%3D+0",
        "fingerprint": f"{abs(hash(tuple(sorted(labels.items())))):016x}",
        **more,
    }


def payload(alerts: Iterable[Any], **more: Any) -> dict[str, Any]:
    """The body of Alertmanager's webhook, version 4."""
    found = list(alerts)
    return {
        "version": "4",
        "groupKey": '{}:{alertname="Burning"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "maint",
        "groupLabels": {"alertname": "Burning"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com",
        "alerts": found,
        **more,
    }


def several(many: int, start: datetime, lasts: timedelta | None = None) -> list[dict[str, Any]]:
    """Distinct alerts; over after that time, or not."""
    end = start + lasts if lasts else None
    return [
        alert(
            {"instance": f"node-{number}:9100", "job": "node", "cluster": "eu-1", "team": "platform"},
            start,
            end,
            fingerprint=f"{number:016x}",
        )
        for number in range(many)
    ]


async def send(
    server: Server, body: Any, hook: str = "alertmanager", token: str | None = TOKEN, **headers: str
) -> tuple[int, dict[str, Any]]:
    """Sends a body; the status and the answer. Bytes are sent as they are."""
    data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    said = {"Content-Type": "application/json", **headers}
    if token is not None:
        said["Authorization"] = f"Bearer {token}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{server.port}/hooks/{hook}", data=data, headers=said) as answer,
    ):
        return answer.status, json.loads(await answer.read() or b"{}")
