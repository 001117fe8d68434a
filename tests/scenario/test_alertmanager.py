"""A real Prometheus and a real Alertmanager: a rule fires, its card appears, and Silence really silences."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.hooks import silences
from bot.hooks.alertmanager import Alertmanager
from bot.hooks.silences import Silences
from runbooks.records.alerts import Alert
from tests.conftest import find_program
from tests.hooks.sending import TOKEN
from tests.scenario.floor import Floor
from tests.scenario.test_hooks import hooked, rows
from tests.steps.test_prometheus import free_port, wait_until

pytestmark = [pytest.mark.debian("prometheus", "prometheus-alertmanager"), pytest.mark.timeout(120)]

RULE = {
    "alert": "Burning",
    "labels": {"severity": "critical", "team": "shop", "instance": "app:9090", "quote": 'a "b" \\ {c}'},
    "annotations": {"summary": "there is smoke"},
}


@dataclass
class Monitoring:
    """The two servers, and a rule that tests switch."""

    folder: Path
    prometheus: str
    alertmanager: str

    def rule(self, *, fires: bool) -> None:
        """The rule fires from now on, or not."""
        rule = {**RULE, "expr": "vector(1)" if fires else "vector(1) < 0"}
        text = json.dumps({"groups": [{"name": "all", "rules": [rule]}]})
        (self.folder / "rules.yml").write_text(text)
        httpx.post(f"{self.prometheus}/-/reload", trust_env=False).raise_for_status()

    def states(self) -> dict[str, str]:
        """The state of each alert in Alertmanager, by name."""
        found = httpx.get(f"{self.alertmanager}/api/v2/alerts", trust_env=False).json()
        return {each["labels"]["alertname"]: each["status"]["state"] for each in found}

    def silences(self) -> list[dict[str, Any]]:
        """All silences, those that are over as well."""
        found: list[dict[str, Any]] = httpx.get(
            f"{self.alertmanager}/api/v2/silences", trust_env=False
        ).json()
        return found

    async def until(self, true: Callable[[], bool], what: str) -> None:
        """Waits until that is so."""
        await asyncio.to_thread(wait_until, true, what)


@pytest.fixture
def monitoring(tmp_path: Path) -> Iterator[Monitoring]:
    """Both servers; nobody listens yet where Alertmanager tells of alerts."""
    folder = tmp_path / "monitoring"
    folder.mkdir()
    where = Monitoring(folder, f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}")
    settings = {
        "global": {"evaluation_interval": "200ms"},
        "rule_files": [str(folder / "rules.yml")],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [where.alertmanager.removeprefix("http://")]}]}]
        },
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings))
    tell(where, free_port())
    (folder / "rules.yml").write_text('{"groups": []}')
    commands = [
        [
            str(find_program("prometheus")),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={where.prometheus.removeprefix('http://')}",
            "--web.enable-lifecycle",
            "--rules.alert.resend-delay=200ms",
        ],
        [
            str(find_program("prometheus-alertmanager")),
            f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}/alerts",
            f"--web.listen-address={where.alertmanager.removeprefix('http://')}",
            "--cluster.listen-address=",
        ],
    ]
    with ExitStack() as stack:
        for command in commands:
            log = stack.enter_context((folder / f"{Path(command[0]).name}.log").open("w"))
            process = stack.enter_context(subprocess.Popen(command, stderr=log, stdout=log))
            stack.callback(process.terminate)
        for url in (where.prometheus, where.alertmanager):
            wait_until(partial(_ready, url), url)
        yield where


def _ready(url: str) -> bool:
    return httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200


def tell(where: Monitoring, port: int) -> None:
    """Has Alertmanager tell whoever listens on that port."""
    hook = {
        "url": f"http://127.0.0.1:{port}/hooks/alertmanager",
        "http_config": {"authorization": {"credentials": TOKEN}},
    }
    settings = {
        "route": {
            "receiver": "maint",
            "group_by": ["alertname"],
            "group_wait": "100ms",
            "group_interval": "300ms",
        },
        "receivers": [{"name": "maint", "webhook_configs": [hook]}],
    }
    (where.folder / "alertmanager.yml").write_text(json.dumps(settings))


def watched(floor: Floor, monitoring: Monitoring) -> Floor:
    """A Maint that knows where Alertmanager can be asked."""
    floor.clock.as_it_is()
    return hooked(floor, alertmanager={"api": monitoring.alertmanager})


async def connect(monitoring: Monitoring, port: int | None) -> None:
    """Alertmanager tells that Maint from now on, and the rule fires."""
    assert port is not None
    tell(monitoring, port)
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.post(f"{monitoring.alertmanager}/-/reload")).raise_for_status()
    await asyncio.to_thread(monitoring.rule, fires=True)


def asking(api: str) -> Silences:
    """What asks that Alertmanager."""
    fields = {"type": "alertmanager", "token": [TOKEN], "api": api}
    return Silences({"alertmanager": Alertmanager.model_validate(fields)}, lambda: datetime.now(UTC))


async def test_a_rule_fires_is_silenced_and_is_over(floor: Floor, monitoring: Monitoring) -> None:
    """From the rule to the card, from the card to the silence and back, and to the end."""
    watched(floor, monitoring)
    async with floor.open() as server:
        await connect(monitoring, server.port)
        card = await floor.card("app Burning", "alerts")
        await floor.shows(card, "critical", "firing", "there is smoke", "app (production)")

        (found,) = await rows(floor)
        await floor.press("admin", card, "maint:alert-silence", value=f"{found.id}.2h")
        await floor.sandbox.submit("admin", await floor.form("admin"), {"said": "the fire brigade is here"})
        await floor.shows(card, "silenced until", "silenced until", "the fire brigade is here")
        assert await asyncio.to_thread(monitoring.states) == {"Burning": "suppressed"}
        (silence,) = await asyncio.to_thread(monitoring.silences)
        assert {each["name"]: each["value"] for each in silence["matchers"]} == {
            "alertname": "Burning",
            **{name: str(value) for name, value in dict(found.labels).items()},
        }
        assert all(each["isEqual"] and not each["isRegex"] for each in silence["matchers"])
        assert "the fire brigade is here" in silence["comment"]
        assert "slack" in silence["comment"] or "http" in silence["comment"]
        assert "U0000ADMIN" in silence["createdBy"]

        await floor.press("admin", card, "Expire silence")
        await floor.shows(card, "firing", "the silence was ended")
        assert await asyncio.to_thread(monitoring.states) == {"Burning": "active"}

        await asyncio.to_thread(monitoring.rule, fires=False)
        await floor.shows(card, "resolved after")
    assert await floor.audited("alert.silenced") == [("admin", "ok")]
    assert await floor.audited("alert.unsilenced") == [("admin", "ok")]
    assert len([each for each in floor.sandbox.messages("alerts") if not each.thread_ts]) == 1


async def test_what_ends_while_it_is_silenced_ends_here(
    floor: Floor, monitoring: Monitoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alertmanager does not say so; Maint asks it, but for one that has just started and knows nothing."""
    watched(floor, monitoring)
    monkeypatch.setattr(silences, "LOOKS_EVERY", 0.1)
    async with floor.open() as server:
        await connect(monitoring, server.port)
        card = await floor.card("app Burning", "alerts")
        (found,) = await rows(floor)
        await floor.type("admin", f"alerts silence {found.id[-8:]} 2h because of the drill")
        await floor.shows(card, "silenced until")
        await floor.type("admin", f"alerts silence {found.id[-8:]} 2h because of the drill")
        await floor.told("admin", "Already so")
        await asyncio.to_thread(monitoring.rule, fires=False)
        await monitoring.until(lambda: monitoring.states() == {}, "the end of the alert")
        assert await asking(monitoring.alertmanager).still_there("alertmanager") is None
        assert len(await rows(floor)) == 1
        monkeypatch.setattr(silences, "_KNOWS_AFTER", 0.0)
        await floor.shows(card, "resolved after")

    assert len(await asyncio.to_thread(monitoring.silences)) == 1


async def test_who_may_not_change_it_may_not_silence_it(floor: Floor, monitoring: Monitoring) -> None:
    """No grant of the word `alerts` there, no silence; and none of an alert that is over."""
    watched(floor, monitoring)
    async with floor.open() as server:
        await connect(monitoring, server.port)
        card = await floor.card("app Burning", "alerts")
        (found,) = await rows(floor)
        await floor.press("sre1", card, "maint:alert-silence", value=f"{found.id}.2h")
        await floor.told("sre1", "may not change alerts", "alerts")
        assert await asyncio.to_thread(monitoring.silences) == []


async def test_an_alertmanager_that_is_away_is_told() -> None:
    """Nothing is silenced here that is not silenced there."""
    them = asking(f"http://127.0.0.1:{free_port()}")
    now = datetime.now(UTC)
    alert = Alert(
        fingerprint="f",
        source="alertmanager",
        severity="critical",
        status="firing",
        title="x",
        labels={"a": "b"},
        opened_at=now,
        last_at=now,
        changed_at=now,
    )
    with pytest.raises(silences.SilenceError, match="alertmanager refused the connection"):
        await them.silence(alert, now + timedelta(hours=2), "Kim", "why")
