"""The shop: its two versions, its logs and its metrics."""

import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runbooks.steps.log_formats import make_format
from runbooks.targets import LogsTarget
from tests.demo.conftest import Open

#: Every kind of thing that a client may put into a header.
AGENTS = ("plain", 'a "quoted" \\ agent', "Ünïcode")


@pytest.mark.parametrize("weight", [0, 30, 100])
async def test_version_2_answers_its_share(shop: Open, weight: int) -> None:
    """Of 400 requests, version 2 answers as many percent as its weight says."""
    await shop.turn(weight_percent=weight)

    versions = Counter([json.loads((await shop.ask("GET", "/")).body)["version"] for _ in range(400)])

    tolerance = 0 if weight in (0, 100) else 8
    assert abs(100 * versions["v2"] / 400 - weight) <= tolerance


async def test_a_share_of_the_pages_fails(shop: Open) -> None:
    """Some of the pages are answered with 500, as many as the switch says, and the health says why."""
    await shop.turn(failing_percent=50)

    statuses = Counter([(await shop.ask("GET", "/products/3")).status for _ in range(100)])
    health = await shop.ask("GET", "/health")

    assert set(statuses) == {200, 500}
    assert 30 < statuses[500] < 70
    assert health.status == 503
    assert "price service" in health.body


async def test_slow_answers_come_later(shop: Open) -> None:
    """An answer takes as much longer as the switch says."""
    await shop.turn(slow_ms=300)

    await shop.ask("GET", "/health")

    assert _metrics((await shop.ask("GET", "/metrics")).body)["shop_request_seconds_sum", ("v1",)] >= 0.3


async def test_products_can_be_looked_at_and_ordered(shop: Open) -> None:
    """A product has a name and a price, an order a number; what there is not is 404."""
    product = await shop.ask("GET", "/products/1")
    order = await shop.ask("POST", "/products/1/order")
    nothing = await shop.ask("POST", "/products/99/order")

    assert json.loads(product.body) == {"id": 1, "name": "oak desk", "cents": 2490, "version": "v1"}
    assert (order.status, json.loads(order.body)["order"]) == (201, 1)
    assert nothing.status == 404


@pytest.mark.parametrize(
    ("name", "format_", "errors", "rest"), [("access.log", "nginx", 6, 4), ("error.log", "python", 6, 1)]
)
async def test_every_log_line_is_readable(
    shop: Open, name: str, format_: str, errors: int, rest: int
) -> None:
    """Runbooks read each line of both logs, whatever a client sends: quotes, backslashes, umlauts."""
    await shop.turn(failing_percent=100)
    for path in ("/", "/products/1?a=%22", "/nothing\\here"):
        for agent in AGENTS:
            await shop.ask("GET", path, headers={"User-Agent": agent})
    shop.journal.close()

    path = shop.journal.access_path.with_name(name)
    target = LogsTarget.model_validate({"type": "logs", "path": str(path), "format": format_})
    form = make_format(target, datetime.now(UTC))
    read = [form.read(line) for line in path.read_text(encoding="utf-8").splitlines()]

    assert None not in read
    assert Counter(line.error for line in read if line) == {True: errors, False: rest}


async def test_an_access_line_is_nginxs_with_the_time(shop: Open) -> None:
    """Address, time, request, status, bytes, referer, agent, and the seconds that it took."""
    visit = await shop.ask("GET", "/health?x=1", headers={"User-Agent": 'a "b"', "Referer": "http://r/"})
    shop.journal.close()

    (line,) = shop.journal.access_path.read_text(encoding="utf-8").splitlines()
    beginning, _, rest = line.partition("[")
    said, _, seconds = rest.partition("]")[2].rpartition(" ")
    assert beginning == "127.0.0.1 - - "
    assert said == f' "GET /health?x=1 HTTP/1.1" 200 {len(visit.body)} "http://r/" "a \\x22b\\x22"'
    assert 0 <= float(seconds) < 1


async def test_the_metrics_count_requests_by_version_and_status(shop: Open) -> None:
    """Prometheus's own parser reads them: counts by version and status, a histogram, a gauge."""
    for path in ("/", "/products/1", "/products/99"):
        await shop.ask("GET", path)
    answer = await shop.ask("GET", "/metrics")

    metrics = _metrics(answer.body)
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert metrics["shop_requests_total", ("200", "v1")] == 2
    assert metrics["shop_requests_total", ("404", "v1")] == 1
    assert metrics["shop_request_seconds_count", ("v1",)] == 3
    assert metrics["shop_request_seconds_bucket", ("+Inf", "v1")] == 3
    assert metrics["shop_requests_in_flight", ()] == 0


def _metrics(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
