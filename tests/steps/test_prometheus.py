"""`prometheus.query` and `prometheus.alerts` against a real Prometheus and a real Alertmanager."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from runbooks.errors import StepError
from runbooks.steps import CHECKS
from runbooks.steps.prometheus import PrometheusAlerts, PrometheusQuery
from runbooks.steps.reach import Connections, Reach
from runbooks.steps.step import Check, Measured
from runbooks.targets import PrometheusTarget
from tests.conftest import find_program

pytestmark = pytest.mark.debian("prometheus", "prometheus-alertmanager")

#: Fire as long as the server runs, but for `Later`, which waits for an hour.
RULES: dict[str, dict[str, Any]] = {
    "Burning": {"expr": "vector(1)", "labels": {"severity": "critical", "instance": "web-1"}},
    "Smoking": {"expr": "vector(1)", "labels": {"severity": "warning", "instance": "web-2"}},
    "Muted": {"expr": "vector(1)", "labels": {"severity": "critical", "instance": "web-3"}},
    "Watchdog": {"expr": "vector(1)", "labels": {"severity": "none"}},
    "Later": {"expr": "vector(1)", "for": "1h", "labels": {"severity": "warning"}},
}


@dataclass(frozen=True)
class Monitoring:
    """Where the two servers listen."""

    prometheus: str
    alertmanager: str


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Asks until it is true; at most 20 seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if true():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise TimeoutError(what)


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    """A Prometheus whose rules fire, and an Alertmanager in which the alert Muted is silenced."""
    folder = tmp_path_factory.mktemp("prometheus")
    where = Monitoring(f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}")
    settings = {
        "global": {
            "scrape_interval": "200ms",
            "scrape_timeout": "200ms",
            "evaluation_interval": "200ms",
            "external_labels": {"replica": "a"},
        },
        "rule_files": [str(folder / "rules.yml")],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [where.alertmanager.removeprefix("http://")]}]}]
        },
        "scrape_configs": [
            {
                "job_name": "self",
                "static_configs": [{"targets": [where.prometheus.removeprefix("http://")]}],
            }
        ],
    }
    # Fires when Prometheus starts, and is over when the tests look.
    gone = {"expr": f"vector(time()) < {time.time() + 3}", "labels": {"severity": "warning"}}
    rules = [{"alert": name, **rule} for name, rule in {**RULES, "Gone": gone}.items()]
    # JSON is YAML.
    (folder / "prometheus.yml").write_text(json.dumps(settings))
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    (folder / "alertmanager.yml").write_text(
        '{"route": {"receiver": "none"}, "receivers": [{"name": "none"}]}'
    )
    commands = [
        [
            str(find_program("prometheus")),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={where.prometheus.removeprefix('http://')}",
            "--rules.alert.resend-delay=200ms",  # what was sent before Alertmanager was found is lost
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
        _silence(where, "Muted")
        wait_until(lambda: _fire(where) == {"Burning", "Smoking", "Muted", "Watchdog"}, "rules to fire")
        wait_until(lambda: _knows(where, "up"), "the first scrape")
        wait_until(lambda: _knows(where, 'count_over_time(ALERTS{alertname="Gone"}[1h])'), "the past alert")
        wait_until(lambda: _suppressed(where) == {"Muted"}, "the silence")
        yield where


def _silence(where: Monitoring, name: str) -> None:
    now = datetime.now(UTC)
    silence = {
        "matchers": [{"name": "alertname", "value": name, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "tests",
        "comment": "known",
    }
    url = f"{where.alertmanager}/api/v2/silences"
    wait_until(lambda: httpx.post(url, json=silence, trust_env=False).status_code == 200, "Alertmanager")


def _fire(where: Monitoring) -> set[str]:
    alerts = httpx.get(f"{where.prometheus}/api/v1/alerts", trust_env=False).json()["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


def _knows(where: Monitoring, query: str) -> bool:
    url = f"{where.prometheus}/api/v1/query"
    return bool(httpx.get(url, params={"query": query}, trust_env=False).json()["data"]["result"])


def _suppressed(where: Monitoring) -> set[str]:
    alerts = httpx.get(f"{where.alertmanager}/api/v2/alerts", trust_env=False).json()
    names = {alert["labels"]["alertname"] for alert in alerts}
    if not names >= {"Burning", "Smoking", "Muted"}:
        return set()
    return {alert["labels"]["alertname"] for alert in alerts if alert["status"]["state"] == "suppressed"}


async def measure(step: Check[PrometheusTarget], where: Monitoring, *, alertmanager: bool = True) -> Measured:
    """What the step sees there."""
    target = PrometheusTarget(
        name="metrics",
        type="prometheus",
        url=where.prometheus,
        alertmanager=where.alertmanager if alertmanager else None,
    )
    return await step.measure(target, Reach(targets={"metrics": target}, connections=Connections()))


def query(text: str, **fields: Any) -> PrometheusQuery:
    """A step as a runbook has it."""
    return PrometheusQuery.model_validate({"query": text, **fields})


def test_the_kinds_are_registered() -> None:
    """Both words can stand in a runbook."""
    assert (CHECKS["prometheus.query"], CHECKS["prometheus.alerts"]) == (PrometheusQuery, PrometheusAlerts)


@pytest.mark.parametrize(
    ("text", "value"),
    [("scalar(vector(42))", 42), ("vector(-0.5)", -0.5), ("max(up)", 1), ("up", 1), ("1e300 * 10", 1e301)],
)
async def test_a_query_gives_its_one_number(monitoring: Monitoring, text: str, value: float) -> None:
    """A scalar, and a vector of one series, are that number."""
    assert (await measure(query(text), monitoring)).values == {"value": value}


@pytest.mark.parametrize(("reduce", "value"), [("max", 3), ("min", 1), ("sum", 6), ("avg", 2)])
async def test_several_series_are_reduced_as_told(monitoring: Monitoring, reduce: str, value: float) -> None:
    """`reduce` says what counts of several series."""
    text = " or ".join(f'label_replace(vector({number}), "n", "{number}", "", "")' for number in (1, 2, 3))
    assert (await measure(query(text, reduce=reduce), monitoring)).values["value"] == value


async def test_the_series_that_counts_is_named(monitoring: Monitoring) -> None:
    """The summary of a maximum has the labels that it belongs to."""
    text = 'label_replace(vector(1), "n", "a", "", "") or label_replace(vector(2), "n", "b", "", "")'
    assert (await measure(query(text, reduce="max"), monitoring)).summary == "max of 2 values, n=b"


async def test_a_unit_is_shown(monitoring: Monitoring) -> None:
    """`unit` is how the summary writes the value."""
    assert (await measure(query("vector(1610612736)", unit="bytes"), monitoring)).summary == "1.5 GiB"


async def test_several_series_without_reduce_are_unknown(monitoring: Monitoring) -> None:
    """Which of several numbers counts is not guessed."""
    with pytest.raises(StepError, match=r"returned 5 values .* say which counts with reduce"):
        await measure(query("ALERTS"), monitoring)


@pytest.mark.parametrize("text", ["no_such_metric", "vector(1) > 2", "no_such_metric[5m]"])
async def test_no_data_is_unknown(monitoring: Monitoring, text: str) -> None:
    """An empty answer is not fine."""
    with pytest.raises(StepError, match="the query returned no data"):
        await measure(query(text), monitoring)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0/0", "no data \\(NaN"),
        ("1/0", "infinite value"),
        ("-1/0", "infinite value"),
        ("vector(NaN)", "NaN"),
    ],
)
async def test_what_is_no_number_is_unknown(monitoring: Monitoring, text: str, words: str) -> None:
    """NaN and infinities are not held against thresholds."""
    with pytest.raises(StepError, match=words):
        await measure(query(text), monitoring)


async def test_series_without_a_number_do_not_spoil_the_others(monitoring: Monitoring) -> None:
    """Of several series those that are NaN are left out, and counted in the summary."""
    text = 'vector(2) or label_replace(vector(NaN), "n", "b", "", "")'
    measured = await measure(query(text, reduce="sum"), monitoring)
    assert (measured.values["value"], measured.summary) == (2, "sum of 2 values, 1 of them NaN")


async def test_a_text_is_unknown(monitoring: Monitoring) -> None:
    """A string literal is PromQL too, but no number."""
    with pytest.raises(StepError, match="the query gave a string that is no number"):
        await measure(query('"hello"'), monitoring)


async def test_a_matrix_is_all_its_samples(monitoring: Monitoring) -> None:
    """A range selector gives several samples, which `reduce` makes one."""
    assert (await measure(query("up[5m]", reduce="min"), monitoring)).values["value"] == 1


async def test_a_wrong_query_is_told_in_prometheus_words(monitoring: Monitoring) -> None:
    """The parser's own message reaches the person who wrote the query."""
    with pytest.raises(StepError, match=r"says bad_data: .*parse error: unclosed left parenthesis"):
        await measure(query("sum("), monitoring)


async def test_a_query_that_cannot_be_run_is_told_in_prometheus_words(monitoring: Monitoring) -> None:
    """An error while the query runs is told as well."""
    with pytest.raises(StepError, match=r"says execution: .*many-to-many"):
        await measure(query("ALERTS * on() ALERTS"), monitoring)


async def test_the_values_of_alerts(monitoring: Monitoring) -> None:
    """Silenced and ignored alerts stand apart, pending ones do not fire, past ones are history."""
    step = PrometheusAlerts.model_validate({"ignore": ["Watchdog"]})
    assert (await measure(step, monitoring)).values == {
        "firing": 2,
        "critical": 1,
        "warning": 1,
        "silenced": 1,
        "pending": 1,
        "fired_24h": 4,
    }


async def test_without_an_alertmanager_nothing_is_silenced(monitoring: Monitoring) -> None:
    """Prometheus alone does not know silences: every alert counts, and `silenced` has no value."""
    values = (await measure(PrometheusAlerts(), monitoring, alertmanager=False)).values
    assert (values["firing"], values["critical"], values["silenced"]) == (4, 2, None)


async def test_firing_alerts_are_listed_worst_first(monitoring: Monitoring) -> None:
    """The details name each alert that counts, with severity, age and labels."""
    details = (await measure(PrometheusAlerts(), monitoring)).details
    assert [line.split(",")[0] for line in details] == [
        "critical Burning",
        "warning Smoking",
        "none Watchdog",
    ]
    assert details[0].endswith(": instance=web-1")


async def test_the_summary_names_what_fires(monitoring: Monitoring) -> None:
    """The words beside the number are the names of the alerts."""
    assert (await measure(PrometheusAlerts(), monitoring)).summary == "Burning, Smoking, Watchdog"


async def test_an_alertmanager_that_is_down_is_a_doubt(monitoring: Monitoring) -> None:
    """When silences cannot be read every alert counts, and the report says that this is not known."""
    broken = Monitoring(monitoring.prometheus, f"http://127.0.0.1:{free_port()}")
    measured = await measure(PrometheusAlerts(), broken)
    ((status, text),) = measured.findings
    assert (status, measured.values["firing"]) == ("unknown", 4)
    assert text == f"silences are not known: {broken.alertmanager} refused the connection"
