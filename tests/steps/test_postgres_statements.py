"""`postgres.slow_queries` with a real pg_stat_statements, and what it says where there is none."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.errors import StepError
from runbooks.steps.postgres_statements import PostgresSlowQueries, Statement, costs_of
from tests.conftest import find_program
from tests.steps.maintaining import Notebook, execute
from tests.steps.postgres_servers import Server, make_login, measure, run_server
from tests.steps.test_postgres_usage import look

SLOW = PostgresSlowQueries.model_validate({"slower_than": "40ms"})


@contextmanager
def debian_server(*settings: str) -> Iterator[Server]:
    """Debian's, which has the extension; it is made in that database."""
    program = find_program("initdb")
    assert program is not None
    binaries = Path(program).resolve().parent
    with TemporaryDirectory(prefix="pg") as folder, run_server(Path(folder), binaries, *settings) as server:
        execute(server.url, "CREATE EXTENSION pg_stat_statements")
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One that counts statements."""
    with debian_server("shared_preload_libraries=pg_stat_statements") as server:
        yield server


@pytest.fixture
def idle_server() -> Iterator[Server]:
    """One that was not told to."""
    with debian_server() as server:
        yield server


@pytest.mark.debian("initdb")
async def test_what_was_called_since_the_last_time_counts(server: Server) -> None:
    """Not what was before; a statement that was not there is new; no value is shown."""
    memory = Notebook()
    execute(server.url, "SELECT pg_stat_statements_reset()", "SELECT pg_sleep(0.05), 'old secret'")
    first = await look(SLOW, server.url, memory)
    execute(server.url, "SELECT pg_sleep(0.06), 1, 'secret'", "SELECT pg_sleep(0.07), 1, 'other'")

    second = await look(SLOW, server.url, memory)

    assert first.values["slow"] == 1
    assert first.values["new"] == 0
    assert first.values["window_s"] is None
    assert second.values["slow"] == second.values["new"] == 1
    worst = second.values["worst_mean_ms"]
    assert isinstance(worst, float)
    assert 60 <= worst < 1000
    assert "2 calls" in second.details[0]
    assert second.details[0].endswith(", new: SELECT pg_sleep($1), $2, $3")


@pytest.mark.debian("initdb")
async def test_a_mean_that_rose_is_told_beside_the_one_before(server: Server) -> None:
    """By how much a statement got slower is what people want to know."""
    memory = Notebook()
    execute(server.url, "SELECT pg_stat_statements_reset()", "SELECT pg_sleep(0.001)")
    await look(SLOW, server.url, memory)
    execute(server.url, "SELECT pg_sleep(0.05)")

    measured = await look(SLOW, server.url, memory)

    assert measured.values["new"] == 0
    line = next(line for line in measured.details if line.endswith("SELECT pg_sleep($1)"))
    found = re.search(r"mean ([\d.]+) ms \(before ([\d.]+) ms\)", line)
    assert found
    assert float(found[1]) > float(found[2]) >= 1


@pytest.mark.debian("initdb")
async def test_a_reset_in_between_is_told(server: Server) -> None:
    """What was counted since then counts."""
    memory = Notebook()
    execute(server.url, "SELECT pg_sleep(0.05)")
    await look(SLOW, server.url, memory)
    execute(server.url, "SELECT pg_stat_statements_reset()", "SELECT pg_sleep(0.05)")

    measured = await look(SLOW, server.url, memory)

    assert measured.values["slow"] == 1
    assert measured.values["window_s"] is None
    assert measured.summary.endswith("since the counters were reset, which was after the last look")


@pytest.mark.debian("initdb")
async def test_a_login_that_sees_only_its_own_is_told(server: Server) -> None:
    """Its numbers would be too small."""
    with (
        make_login(server.url, "reader") as url,
        pytest.raises(StepError, match=r"GRANT pg_monitor TO reader"),
    ):
        await measure(SLOW, url)


async def test_without_the_extension_it_says_what_to_do(postgres_url: str) -> None:
    """The server from PyPI has none."""
    with pytest.raises(StepError, match=r"shared_preload_libraries, restart .*CREATE EXTENSION"):
        await measure(SLOW, postgres_url)


@pytest.mark.debian("initdb")
async def test_an_extension_that_was_not_loaded_is_told(idle_server: Server) -> None:
    """CREATE EXTENSION alone does not count."""
    with pytest.raises(StepError, match=r"counts no statements"):
        await measure(SLOW, idle_server.url)


counters = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.integers(0, 1000), st.integers(0, 10**6)), max_size=6
)


@given(before=counters, grown=counters)
def test_deltas_are_what_was_added(
    before: dict[str, tuple[int, int]], grown: dict[str, tuple[int, int]]
) -> None:
    """Whatever was counted before; who was not called is left out."""
    ids = before.keys() | grown.keys()
    nothing = (0, 0)
    counted = [
        Statement(
            id=each,
            calls=before.get(each, nothing)[0] + grown.get(each, nothing)[0],
            ms=before.get(each, nothing)[1] + grown.get(each, nothing)[1],
            rows=0,
            query="",
        )
        for each in sorted(ids)
    ]

    costs = costs_of(counted, {key: [float(c), float(ms)] for key, (c, ms) in before.items()}, known=None)

    assert {cost.statement.id: (cost.calls, cost.ms) for cost in costs} == {
        key: (calls, ms) for key, (calls, ms) in grown.items() if calls
    }
