"""Answers that a healthy Prometheus does not give on request, from a server that has their shape."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from runbooks.errors import StepError
from runbooks.steps import prometheus
from runbooks.steps.prometheus import ANSWER_LIMIT, PrometheusAlerts, PrometheusQuery
from runbooks.steps.reach import Connections, Reach
from runbooks.steps.step import Check, Measured
from runbooks.targets import PrometheusTarget
from tests.steps.serving import Handler, says, serve, serve_bytes

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
ONE = PrometheusQuery(query="up")


async def measure(step: Check[PrometheusTarget], url: str, **settings: Any) -> Measured:
    """What the step sees there."""
    target = PrometheusTarget(name="metrics", type="prometheus", url=url, **settings)
    reach = Reach(targets={"metrics": target}, connections=Connections(), now=lambda: NOW)
    return await step.measure(target, reach)


def answers(data: object, **more: object) -> Handler:
    """A success with that data."""
    return says(json.dumps({"status": "success", "data": data, **more}))


def vector(*values: tuple[Mapping[str, str], str]) -> dict[str, object]:
    """The data of a query that gave these series."""
    return {
        "resultType": "vector",
        "result": [{"metric": metric, "value": [1767355200.0, value]} for metric, value in values],
    }


def alert(name: str, since: str = "2026-01-02T10:00:00.123456789Z", **labels: str) -> dict[str, object]:
    """A firing alert, as /api/v1/alerts has it."""
    return {
        "labels": {"alertname": name, **labels},
        "annotations": {},
        "state": "firing",
        "activeAt": since,
        "value": "1e+00",
    }


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (503, "timeout", "query timed out in expression evaluation"),
        (422, "execution", "too many samples"),
        (503, "unavailable", "TSDB not ready"),
    ],
)
async def test_an_error_of_prometheus_is_told_in_its_words(status: int, kind: str, text: str) -> None:
    """Type and text of the error are what the row says."""
    body = json.dumps({"status": "error", "errorType": kind, "error": text})
    async with serve(api__v1__query=says(body, status)) as url:
        with pytest.raises(StepError, match=f"^{url} says {kind}: {text}$"):
            await measure(ONE, url)


async def test_the_warnings_of_prometheus_reach_the_details() -> None:
    """An answer from half the storage says so."""
    handler = answers(vector(({}, "1")), warnings=["store eu-1 is unavailable"])
    async with serve(api__v1__query=handler) as url:
        assert (await measure(ONE, url)).details == ("Prometheus warns: store eu-1 is unavailable",)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_closed_door_points_to_the_headers(status: int) -> None:
    """A refused request says which setting lets Maint in."""
    async with serve(api__v1__query=says("no", status)) as url:
        with pytest.raises(StepError, match=f"answered {status}: the target's headers do not let Maint in"):
            await measure(ONE, url)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "null",
        "[]",
        "{}",
        '{"status":"success"}',
        '{"status":"success","data":{"resultType":"vector"}}',
        "[" * 100_000,
        "\ud800",
    ],
    ids=range(9),
)
async def test_what_is_no_prometheus_is_unknown(body: str) -> None:
    """Any other web server's answer is a StepError, never a fault of ours."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body.encode("utf-8", "surrogatepass"))

    async with serve(api__v1__query=handler) as url:
        with pytest.raises(StepError):
            await measure(ONE, url)


NUMBERS = st.floats().map(str) | st.sampled_from(["NaN", "+Inf", "-Inf", "1e308"])
POINTS = st.tuples(st.floats(0, 1e10), NUMBERS | st.text(max_size=3))
SERIES = st.fixed_dictionaries(
    {}, optional={"metric": st.just({"job": "app"}), "value": POINTS, "values": st.lists(POINTS, max_size=3)}
)


@example("vector", [{"value": (1.0, "x")}], "max")
@example("matrix", [{"values": [(1.0, "1e308"), (1.0, "1e308")]}], "sum")
@example("matrix", [{"values": [(1.0, "+Inf"), (1.0, "-Inf")]}], "avg")
@given(
    st.sampled_from(["scalar", "string", "vector", "matrix"]),
    st.lists(SERIES, max_size=4) | POINTS | st.none() | st.text(max_size=3),
    st.sampled_from(["only", "max", "min", "sum", "avg"]),
)
def test_any_data_is_a_finite_number_or_unknown(kind: str, data: object, reduce: str) -> None:
    """Whatever stands in `data`, the result is one finite number or a StepError."""
    result = prometheus.Result.model_validate({"resultType": kind, "result": data})
    try:
        value = PrometheusQuery.model_validate({"query": "x", "reduce": reduce}).of(result).values["value"]
    except StepError:
        return
    assert isinstance(value, float)
    assert abs(value) < float("inf")


async def test_a_native_histogram_is_told() -> None:
    """A series without a plain value needs another query, and the text says which."""
    data = {"resultType": "vector", "result": [{"metric": {}, "histogram": [1.0, {"count": "3"}]}]}
    async with serve(api__v1__query=answers(data)) as url:
        with pytest.raises(StepError, match="histogram_quantile"):
            await measure(ONE, url)


async def test_a_huge_answer_is_not_read_to_its_end() -> None:
    """More than the limit is refused instead of filling the memory."""
    body = json.dumps({"status": "success", "data": "x" * ANSWER_LIMIT})
    async with serve(api__v1__query=says(body)) as url:
        with pytest.raises(StepError, match=r"answered with more than 8 MiB: ask for less"):
            await measure(ONE, url)


async def test_details_are_bounded() -> None:
    """A query with a thousand series shows some and counts the rest."""
    data = vector(*(({"pod": f"p{number}"}, "1") for number in range(1000)))
    async with serve(api__v1__query=answers(data)) as url:
        details = (await measure(PrometheusQuery(query="up", reduce="sum"), url)).details
    assert (len(details), details[-1]) == (50, "and 951 more")


async def test_a_prometheus_that_is_down_is_unknown() -> None:
    """Nothing was measured, and the text says who refused."""
    with pytest.raises(StepError, match=r"^http://127\.0\.0\.1:9 refused the connection$"):
        await measure(ONE, "http://127.0.0.1:9")


async def test_a_prometheus_that_breaks_off_is_unknown() -> None:
    """Half an answer is none."""
    async with serve_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{") as url:
        with pytest.raises(StepError, match="broke off the connection"):
            await measure(ONE, url)


async def never(_: web.Request) -> web.StreamResponse:
    """Holds every caller for longer than any step waits."""
    await asyncio.sleep(30)
    return web.Response()


async def test_a_prometheus_that_never_answers_is_unknown() -> None:
    """The step gives up before its timeout, and says who did not answer."""
    async with serve(api__v1__query=never) as url:
        with pytest.raises(StepError, match=f"^{url} did not answer in time$"):
            async with asyncio.timeout(0.3):
                await measure(PrometheusQuery.model_validate({"query": "up", "timeout": "300ms"}), url)


async def test_a_metadata_address_is_never_asked() -> None:
    """The guard of addresses stands before Prometheus too."""
    with pytest.raises(StepError, match="which Maint never calls"):
        await measure(ONE, "http://169.254.169.254")


async def test_the_targets_headers_are_sent() -> None:
    """A token in `headers:` reaches Prometheus."""

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == "Bearer token"
        return await answers(vector(({}, "1")))(request)

    async with serve(api__v1__query=handler) as url:
        measured = await measure(ONE, url, headers={"Authorization": SecretStr("Bearer token")})
    assert measured.values == {"value": 1}


async def test_an_alertmanager_that_never_answers_is_a_doubt() -> None:
    """It costs the silences, not the report on the alerts."""
    async with (
        serve(
            api__v1__alerts=answers({"alerts": [alert("Down")]}),
            api__v1__query_range=answers({"resultType": "matrix", "result": []}),
            api__v2__alerts=never,
        ) as url,
        asyncio.timeout(0.5),
    ):
        step = PrometheusAlerts.model_validate({"timeout": "500ms"})
        measured = await measure(step, url, alertmanager=url)
    assert (measured.values["firing"], measured.findings) == (
        1,
        (("unknown", f"silences are not known: {url} did not answer in time"),),
    )


async def told(alerts: list[dict[str, object]], sent: list[tuple[dict[str, str], str]]) -> Measured:
    """What is measured when Prometheus has these alerts and Alertmanager those, with their states."""
    body = json.dumps([{"labels": labels, "status": {"state": state}} for labels, state in sent])
    async with serve(
        api__v1__alerts=answers({"alerts": alerts}),
        api__v1__query_range=answers({"resultType": "matrix", "result": []}),
        api__v2__alerts=says(body),
    ) as url:
        return await measure(PrometheusAlerts(), url, alertmanager=url)


async def test_a_silence_for_one_instance_leaves_the_others_loud() -> None:
    """Alerts of one name are told apart by their labels."""
    measured = await told(
        [alert("Down", instance="a"), alert("Down", instance="b")],
        [
            ({"alertname": "Down", "instance": "a", "replica": "1"}, "suppressed"),
            ({"alertname": "Down", "instance": "b", "replica": "1"}, "active"),
        ],
    )
    assert (measured.values["firing"], measured.values["silenced"]) == (1, 1)


async def test_an_alert_with_fewer_labels_is_not_silenced_by_its_namesake() -> None:
    """The nearest labels decide: the silence of `Down` on one instance does not cover plain `Down`."""
    measured = await told(
        [alert("Down")],
        [
            ({"alertname": "Down", "instance": "a", "replica": "1"}, "suppressed"),
            ({"alertname": "Down", "replica": "1"}, "active"),
        ],
    )
    assert measured.values["silenced"] == 0


async def test_an_alert_that_two_replicas_send_is_loud_while_one_is() -> None:
    """In doubt an alert counts."""
    measured = await told(
        [alert("Down")],
        [
            ({"alertname": "Down", "replica": "1"}, "suppressed"),
            ({"alertname": "Down", "replica": "2"}, "active"),
        ],
    )
    assert measured.values["firing"] == 1


async def test_an_alert_that_alertmanager_does_not_have_is_loud() -> None:
    """What was not delivered cannot be silenced."""
    assert (await told([alert("Down")], [])).values["firing"] == 1


async def test_an_alert_is_one_bounded_line() -> None:
    """Severity, name, since when and for how long, then labels cut to a length."""
    measured = await told([alert("Down", severity="Page", text="x" * 5000)], [])
    (line,) = measured.details
    assert line.startswith("page Down, active since 2026-01-02 10:00 UTC (120 min): text=xxx")
    assert len(line) <= 400


async def test_a_storm_of_alerts_is_counted_in_full_and_listed_in_part() -> None:
    """A thousand alerts are a thousand, in fifty lines."""
    alerts = [alert("Down", severity="critical", instance=f"i{number}") for number in range(1000)]
    sent = [
        ({"alertname": "Down", "severity": "critical", "instance": f"i{n}", "r": "a"}, "active")
        for n in range(1000)
    ]
    measured = await told(alerts, sent)
    assert (measured.values["critical"], len(measured.details)) == (1000, 50)


@pytest.mark.parametrize(
    "fields",
    [{}, {"query": "  "}, {"query": "up", "reduce": "median"}, {"query": "up", "unit": "x" * 21}],
    ids=str,
)
def test_a_query_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    """Faults are found when a runbook is loaded."""
    with pytest.raises(ValidationError):
        PrometheusQuery.model_validate(fields)
