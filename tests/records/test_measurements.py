"""What was measured comes back: the last values, and the median of a week."""

import re
import statistics
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from runbooks.records.database import open_database, reading
from runbooks.records.measurements import Last, Series, keep, medians, previous
from runbooks.records.migrate import migrate
from runbooks.scrub import Scrubber
from runbooks.status import Status
from tests.records.conftest import NOON, make_result, plan_of

APP = Series("health", "app", "app", "http.probe")
DB = Series("health", "app", "db", "http.probe")


def test_the_last_values_come_back(engine: Engine) -> None:
    """Numbers, texts and missing values of the newest result are read again, with its time."""
    values = {"elapsed_ms": 420.0, "status": "200", "days_left": None}
    with engine.begin() as connection:
        keep(connection, [make_result(values={"elapsed_ms": 1.0}, at=NOON - timedelta(minutes=5))])
        keep(connection, [make_result(values=values, at=NOON)])

        assert previous(connection, [APP]) == {APP: Last(NOON, values)}


def test_a_report_in_which_nothing_was_measured_does_not_count(engine: Engine) -> None:
    """After an unknown result, the last values are those from before it."""
    with engine.begin() as connection:
        keep(
            connection,
            [
                make_result(7.0, at=NOON),
                make_result(None, at=NOON + timedelta(minutes=5), status=Status.UNKNOWN),
            ],
        )

        assert previous(connection, [APP]) == {APP: Last(NOON, {"elapsed_ms": 7.0})}


def test_series_are_kept_apart(engine: Engine) -> None:
    """Each target has its own last values, in one query; one that was never measured has none."""
    with engine.begin() as connection:
        keep(connection, [make_result(1.0), make_result(2.0, target="db")])

        found = previous(connection, [APP, DB, Series("health", "app", "cache", "http.probe")])

    assert {key: last.values for key, last in found.items()} == {
        APP: {"elapsed_ms": 1.0},
        DB: {"elapsed_ms": 2.0},
    }


def test_a_step_of_another_kind_starts_anew(engine: Engine) -> None:
    """When a step is made another kind under its old name, the old values are no measure for it."""
    other = Series("health", "app", "app", "prometheus.query")
    with engine.begin() as connection:
        keep(connection, [make_result(1.0)])

        assert previous(connection, [other]) == {}
        assert medians(connection, [other], now=NOON) == {}


def test_nothing_asked_is_nothing_answered(engine: Engine) -> None:
    """No series, no results and results without values are all fine."""
    with engine.begin() as connection:
        keep(connection, [])
        keep(connection, [make_result(None)])

        assert previous(connection, []) == {}
        assert medians(connection, []) == {}


def test_a_report_is_kept_whole_or_not_at_all(engine: Engine) -> None:
    """When one result cannot be stored, none of its report is."""
    broken = make_result(2.0, target="db", at=datetime(2026, 3, 1))  # noqa: DTZ001 - that is the fault
    with pytest.raises(Exception, match="aware datetime"), engine.begin() as connection:
        keep(connection, [make_result(1.0), broken])

    with reading(engine) as connection:
        assert previous(connection, [APP, DB]) == {}


def test_values_belong_to_their_own_result(engine: Engine) -> None:
    """Of fifty results that are kept together, each has its own value."""
    with engine.begin() as connection:
        keep(connection, [make_result(float(n), target=f"t{n}") for n in range(50)])
        series = [Series("health", "app", f"t{n}", "http.probe") for n in range(50)]

        found = previous(connection, series)

    assert [found[key].values["elapsed_ms"] for key in series] == [float(n) for n in range(50)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_no_data(engine: Engine, value: float) -> None:
    """NaN and the infinities are stored as no data, on both databases alike."""
    with engine.begin() as connection:
        keep(connection, [make_result(value)])

        assert previous(connection, [APP])[APP].values == {"elapsed_ms": None}
        assert medians(connection, [APP], now=NOON) == {}


def test_no_secret_is_stored(database_url: str) -> None:
    """Summaries and measured texts are scrubbed before they are stored."""
    engine = open_database(database_url, Scrubber(["hunter22"]))
    migrate(engine)
    with engine.begin() as connection:
        keep(connection, [make_result("x hunter22", summary="hunter22 said so")])
        stored = [
            connection.execute(text(query)).scalar_one()
            for query in ("SELECT summary FROM check_results", "SELECT text FROM measurements")
        ]
    engine.dispose()

    assert stored == ["[secret] said so", "x [secret]"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    by_target=st.dictionaries(
        st.sampled_from(["app", "db", "cache"]),
        st.lists(st.none() | st.floats(-1e9, 1e9), min_size=1, max_size=9),
    )
)
def test_the_median_is_the_median(engine: Engine, by_target: dict[str, list[float | None]]) -> None:
    """For any values in any number, per series: the same as Python's statistics.median."""
    with engine.connect() as connection:
        keep(
            connection,
            [
                make_result(value, target=target, at=NOON - timedelta(minutes=n))
                for target, values in by_target.items()
                for n, value in enumerate(values)
            ],
        )
        found = medians(
            connection, [Series("health", "app", target, "http.probe") for target in by_target], now=NOON
        )
        connection.rollback()

    numbers = {target: [v for v in values if v is not None] for target, values in by_target.items()}
    assert {key.target: value for key, value in found.items()} == {
        target: pytest.approx(statistics.median(values)) for target, values in numbers.items() if values
    }


def test_the_median_forgets_what_is_older(engine: Engine) -> None:
    """A value from eight days ago does not weigh in the median of seven."""
    with engine.begin() as connection:
        keep(connection, [make_result(100.0, at=NOON - timedelta(days=8)), make_result(3.0, at=NOON)])

        assert medians(connection, [APP], days=7, now=NOON) == {APP: 3.0}
        assert medians(connection, [APP], days=9, now=NOON) == {APP: 51.5}


FILL_SQLITE = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 48383)
INSERT INTO check_results
    (correlation, runbook, step, target, kind, status, summary, headline, value, unit, duration_ms, at)
SELECT 'c', 'health', 'step' || (i % 24), 'app', 'http.probe', 'ok', '', 'elapsed_ms', i, 'ms', 1,
       strftime('%Y-%m-%d %H:%M:%f000', '2026-03-01 12:00:00', '-' || (i / 24 * 64) || ' minutes')
FROM n
"""
FILL_POSTGRES = """
INSERT INTO check_results
    (correlation, runbook, step, target, kind, status, summary, headline, value, unit, duration_ms, at)
SELECT 'c', 'health', 'step' || (i % 24), 'app', 'http.probe', 'ok', '', 'elapsed_ms', i, 'ms', 1,
       timestamptz '2026-03-01 12:00:00Z' - (i / 24 * 64) * interval '1 minute'
FROM generate_series(0, 48383) i
"""


FILL_MEASUREMENTS = """
INSERT INTO measurements (result, output, number, unit)
SELECT id, output, value, 'ms' FROM check_results, (SELECT 'elapsed_ms' AS output UNION SELECT 'p95_ms') AS o
"""


@pytest.fixture
def ninety_days(engine: Engine) -> Engine:
    """24 checks that ran 2,016 times each over ninety days."""
    with engine.begin() as connection:
        connection.execute(text(FILL_SQLITE if engine.dialect.name == "sqlite" else FILL_POSTGRES))
        connection.execute(text(FILL_MEASUREMENTS))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE"))
    return engine


def test_medians_do_not_read_the_history(ninety_days: Engine) -> None:
    """The medians of a week of all 24 checks are found by index: what is older is not read."""
    series = [Series("health", f"step{n}", "app", "http.probe") for n in range(24)]

    def work(connection: Connection) -> None:
        assert len(medians(connection, series, now=NOON)) == 24

    plan = plan_of(ninety_days, work)

    assert re.search(
        # SQLite goes to each series; PostgreSQL may as well take the week of all of them.
        r"COVERING INDEX ix_check_results_series "
        r"\(runbook=\? AND step=\? AND target=\? AND kind=\? AND at>\?\)"
        r"|Index.* Scan (using|on) ix_check_results_(series|at)",
        plan,
    )
    assert "Seq Scan on check_results" not in plan


def test_last_values_are_found_by_index(ninety_days: Engine) -> None:
    """The last values of all 24 checks are found without reading the history."""
    series = [Series("health", f"step{n}", "app", "http.probe") for n in range(24)]
    with ninety_days.begin() as connection:
        keep(connection, [make_result(1.0, series=key, at=datetime.now(UTC)) for key in series])

    def work(connection: Connection) -> None:
        assert len(previous(connection, series)) == 24

    plan = plan_of(ninety_days, work)

    assert "ix_check_results_series" in plan
    assert "SCAN earlier" not in plan
    assert "Seq Scan on check_results" not in plan
