"""Alerts of other systems: posted to a whole Maint over HTTP, seen and acted on in Slack."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.app import Server
from bot.hooks.receiving import LARGEST_HOOK
from runbooks.errors import RecordsError
from runbooks.records.alerts import Alert, Wanted, listed
from runbooks.records.records import Records
from tests.hooks.sending import TOKEN, alert, payload, send
from tests.scenario.conftest import ALERTS, OPS
from tests.scenario.floor import Floor
from tests.slack.test_render import types

RECORDED = Path(__file__).parents[1] / "hooks" / "recorded"


def hooked(floor: Floor, **hooks: dict[str, Any]) -> Floor:
    """A Maint that listens for alerts, and shows them in #alerts."""
    floor.workplace.environment["HOOK_TOKEN"] = TOKEN
    floor.workplace.settings |= {
        "http": {"port": 0},
        "alerts": {"channel": "alerts"},
        "hooks": {name: {"token": "${HOOK_TOKEN}", **hook} for name, hook in hooks.items()},
    }
    return floor


async def rows(floor: Floor, *statuses: str) -> tuple[Alert, ...]:
    """The open alerts, or those of the statuses."""
    records = await Records.open(str(floor.workplace.settings["database"]))
    try:
        return await records.read(lambda c: listed(c, Wanted(statuses=statuses, limit=20_000)))
    finally:
        await records.close()


def start(floor: Floor) -> Any:
    """When an alert began."""
    return floor.clock() - timedelta(minutes=10)


async def test_an_alert_is_one_message_from_firing_to_resolved(floor: Floor) -> None:
    """Posted, told again, and over: one card, with what its labels say."""
    hooked(floor, alertmanager={})
    floor.runbook("restart-app", REMEDY)
    began = start(floor)
    labels = {"instance": "app:9090", "team": "shop", "job": "web", "runbook": "restart-app"}
    async with floor.open() as server:
        assert await send(server, payload([alert(labels, began)])) == (200, ALL_OF_ONE)
        card = await floor.card("app Burning", "alerts")
        await floor.shows(card, "critical", "firing", "there is smoke", "shop", "job=web", "(production)")
        assert (await send(server, payload([alert(labels, began)])))[0] == 200
        assert floor.offers(card, "alert-remedy-0")
        assert not floor.offers(card, "alert-silence")  # nobody said where its API is
        await send(server, payload([alert(labels, began, began + timedelta(minutes=7))]))
        await floor.shows(card, "resolved after 7 min")
        await send(server, payload([alert(labels, began)]))  # late
        assert await rows(floor) == ()

    assert len([each for each in floor.sandbox.messages("alerts") if not each.thread_ts]) == 1
    assert await floor.audited("alert.opened") == [("Maint", "ok")]


ALL_OF_ONE = {"alerts": 1, "unreadable": 0, "left_out": 0}
REMEDY = """
    name: restart-app
    title: Restart the app
    params:
      target: {type: target}
    steps:
      - id: restart
        command: {target: here, run: [touch, DIR/restarted], repeatable: true, risk: low}
"""


async def test_it_works_beside_slack_over_http(floor: Floor) -> None:
    """The one server has Slack's requests and the hooks, each with its own way to believe."""
    hooked(floor, alertmanager={})
    floor.workplace.settings["slack"] = {"mode": "http", "channels": {"ops": OPS, "alerts": ALERTS}}
    async with floor.open() as server:
        await send(server, payload([alert({"instance": "app"}, start(floor))]))
        await floor.card("app Burning", "alerts")
        await floor.type("admin", "alerts critical")
        await floor.told("admin", "app Burning")


async def test_without_its_token_nothing_is_taken(floor: Floor) -> None:
    """No token, another's, half of it, another scheme, another name: 401, and what to do; no row."""
    hooked(floor, alertmanager={}, deploys={**JSON, "token": "${OTHER_TOKEN}"})
    floor.workplace.environment["OTHER_TOKEN"] = "another-token-of-another-hook"
    body = payload([alert({}, start(floor))])
    async with floor.open() as server:
        answers = [
            await send(server, body, token=None),
            await send(server, body, token="another-token-of-another-hook"),
            await send(server, body, token=TOKEN[:-1]),
            await send(server, body, token=TOKEN + "x"),
            await send(server, body, token="\udcff\udcfe"),
            await send(server, body, token=None, Authorization=f"Basic {TOKEN}"),
            await send(server, body, token=None, Authorization=TOKEN),
            await send(server, body, token=""),
            await send(server, body, "nothing"),
            await send(server, body, "nothing", token=""),
            await send(server, b"x" * 100_000, token=None),
        ]
        assert await rows(floor) == ()

    assert {status for status, _ in answers} == {401}
    assert all("Authorization: Bearer" in answer["error"] for _, answer in answers)
    assert TOKEN not in json.dumps(answers)


async def test_an_old_token_and_its_successor_are_both_believed(floor: Floor) -> None:
    """So that one can replace the other without losing an alert."""
    hooked(floor, alertmanager={"token": ["${HOOK_TOKEN}", "${NEXT_TOKEN}"]})
    floor.workplace.environment["NEXT_TOKEN"] = "the-token-of-the-coming-year"
    async with floor.open() as server:
        for token in (TOKEN, "the-token-of-the-coming-year"):
            assert (await send(server, payload([]), token=token))[0] == 200


async def test_what_cannot_be_taken_is_told_why(floor: Floor) -> None:
    """Size, type, encoding, syntax, version: a 4xx that says what to do, and never a trace."""
    hooked(floor, alertmanager={}, deploys=JSON)
    huge = b'{"alerts": ["' + b"x" * LARGEST_HOOK + b'"]}'
    async with floor.open() as server:
        found = {
            "type": await send(server, b"{}", **{"Content-Type": "text/plain"}),
            "coding": await send(server, b"{}", **{"Content-Encoding": "gzip"}),
            "json": await send(server, b"{"),
            "utf-8": await send(server, b'{"a":"\xff"}'),
            "deep": await send(server, b"[" * 100_000),
            "digits": await send(server, b'{"a":' + b"9" * 5000 + b"}"),
            "list": await send(server, []),
            "version": await send(server, {"version": "3", "alerts": []}),
            "nothing": await send(server, {"state": "odd"}, "deploys"),
            "large": await send(server, huge),
        }

    assert {what: status for what, (status, _) in found.items()} == {
        **dict.fromkeys(found, 400),
        "type": 415,
        "coding": 415,
        "large": 413,
    }
    assert "application/json" in found["type"][1]["error"]
    assert "max_alerts" in found["large"][1]["error"]
    assert not any("Traceback" in json.dumps(answer) for _, answer in found.values())


async def test_while_the_database_is_away_the_sender_is_told_to_come_again(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After, and the same once more is taken."""
    hooked(floor, alertmanager={})
    body = payload([alert({"instance": "app"}, start(floor))])
    async with floor.open() as server:
        with monkeypatch.context() as away:

            async def broken(*_: object) -> None:
                raise RecordsError("The database does not answer.")

            away.setattr(Records, "write", broken)
            status, answer = await send(server, body)
        assert (status, answer) == (503, {"error": "It could not be kept just now: send it again."})
        assert (await send(server, body))[0] == 200
        await floor.card("app Burning", "alerts")


async def test_what_is_missing_is_trouble_of_its_own(floor: Floor) -> None:
    """What the sender left out, and what nobody can read, is told until the same group comes whole."""
    hooked(floor, alertmanager={})
    good = alert({"instance": "app"}, start(floor))
    async with floor.open() as server:
        status, answer = await send(server, payload([good, 5, {"status": "firing"}], truncatedAlerts=1200))
        card = await floor.card("Alerts of alertmanager are missing", "alerts")
        await floor.shows(card, "1,200 were left out", "2 have no status")
        await floor.card("app Burning", "alerts")
        await send(server, payload([good]))
        await floor.shows(card, "resolved after")

    assert (status, answer) == (200, {"alerts": 1, "unreadable": 2, "left_out": 1200})


async def test_text_from_outside_is_text(floor: Floor) -> None:
    """Mentions, links and control characters of labels and annotations do nothing in Slack."""
    hooked(floor, alertmanager={})
    nasty = "<!channel> <https://evil.example|ok> *b* \x1b[31m\u202e\x00 &amp; " + "x " * 3000
    fields = {"alertname": nasty, "severity": nasty, "instance": nasty, "team": nasty, "a<b": nasty}
    notes = {"summary": nasty, "runbook_url": "javascript:alert(1)"}
    sent = alert(fields, start(floor), annotations=notes, generatorURL="http://x|y>z")
    async with floor.open() as server:
        assert (await send(server, payload([sent])))[0] == 200
        card = await floor.card("firing", "alerts")
        (found,) = await rows(floor)

    assert not {"mrkdwn", "user", "broadcast", "channel", "link"} & types(card.blocks)
    assert "<!" not in card.text
    assert not any(mark in card.shown for mark in ("\u202e", "\x1b", "\x00"))
    assert found.links == {}
    assert found.severity == "warning"


async def test_routes_lead_alerts_of_others_to_channels(floor: Floor) -> None:
    """The routes of `escalation:` are for all alerts: by source, severity, owner, environment and label."""
    hooked(floor, alertmanager={"channel": "ops"})
    floor.workplace.settings["escalation"] = {
        "routes": [
            {"source": "alertmanager", "owner": "shop", "labels": {"cluster": "eu-*"}, "channel": "alerts"}
        ]
    }
    began = start(floor)
    async with floor.open() as server:
        mine = alert({"instance": "web-1", "team": "shop", "cluster": "eu-1"}, began)
        other = alert({"instance": "web-2", "team": "shop", "cluster": "us-1"}, began)
        await send(server, payload([mine, other]))
        await floor.card("web-1 Burning", "alerts")
        await floor.card("web-2 Burning", "ops")


async def test_grafana_as_its_documentation_has_it(floor: Floor) -> None:
    """The documented example: two alerts, with values, labels and links."""
    hooked(floor, grafana={"channel": "alerts"})
    body = json.loads((RECORDED / "grafana.json").read_text())
    async with floor.open() as server:
        assert (await send(server, body, "grafana"))[1]["alerts"] == 2
        card = await floor.card("High memory usage", "alerts")
        await floor.shows(card, "44.2", "zone us-1", "blue", "Silence", "myrunbook.com/runbook/1234")
        body["alerts"][0] |= {"status": "resolved", "endsAt": "2021-10-12T10:00:00+02:00"}
        await send(server, body, "grafana")
        await floor.shows(card, "resolved after 9 min")


JSON: dict[str, Any] = {
    "alerts": "data.items",
    "id": ["monitor.id"],
    "status": "state",
    "statuses": {"firing": ["down", "degraded"], "resolved": "up"},
    "severities": {"p1": "critical"},
    "fields": {"title": "monitor.name", "summary": "why.0", "severity": "prio", "value": "ms", "start": "at"},
    "constants": {"environment": "production", "severity": "info", "target": "app"},
    "labels": {"region": "region"},
    "links": {"Monitor": "monitor.url"},
}


async def test_any_json_with_a_mapping(floor: Floor) -> None:
    """Paths, constants, a list, words for states: down, worse, and up again."""
    hooked(floor, uptime=JSON)
    item = {
        "monitor": {"id": 17, "name": "checkout", "url": "https://up.example.com/17"},
        "state": "DOWN",
        "prio": "P1",
        "why": ["timeout"],
        "ms": 5000,
        "region": "eu",
        "at": start(floor).timestamp(),
    }
    async with floor.open() as server:
        assert (await send(server, {"data": {"items": [item]}}, "uptime"))[1] == ALL_OF_ONE
        card = await floor.card("checkout", "alerts")
        await floor.shows(card, "critical", "timeout", "region=eu", "up.example.com/17", "app (production)")
        await send(server, {"data": {"items": [{**item, "state": "up"}]}}, "uptime")
        await floor.shows(card, "resolved after")
        (over,) = await rows(floor, "resolved")

    assert (over.source, over.value, over.target) == ("uptime", 5000.0, "app")


async def test_bodies_at_the_same_time_are_all_taken(floor: Floor) -> None:
    """More than are read at once: the others wait."""
    hooked(floor, alertmanager={})
    began = start(floor)
    async with floor.open() as server:

        async def one(server: Server, number: int) -> int:
            body = payload([alert({"instance": f"web-{number}"}, began)])
            return (await send(server, body))[0]

        assert await asyncio.gather(*(one(server, number) for number in range(20))) == [200] * 20
        assert len(await rows(floor)) == 20
