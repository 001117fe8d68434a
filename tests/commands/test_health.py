"""The health card: what is said, in which order, and what is said only once."""

from datetime import UTC, datetime, timedelta

from commands.health import as_data, finished, under_way
from commands.reply import Paragraph, Reply, Rows, plain
from runbooks.engine.checks import Report, Result
from runbooks.records.measurements import Series
from runbooks.spec.library import SHIPPED, load_library
from runbooks.status import Status
from runbooks.steps.step import Output, Value

RUNBOOK = load_library(None, {}, shipped=SHIPPED)["health"]
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
DOWN = "cannot log in to web-1: no route to host"


def result(
    target: str, title: str, status: Status, value: Value = None, *reasons: str, bound: str = ""
) -> Result:
    return Result(
        key=Series("health", title, target, "test.kind"),
        title=title,
        environment="production",
        status=status,
        at=NOW,
        duration=timedelta(milliseconds=12),
        headline_name="value",
        headline=Output(title=title, unit="%"),
        value=value,
        bound=bound,
        reasons=reasons,
        values={"value": value},
        outputs={"value": Output(title=title, unit="%")},
    )


def card(*results: Result) -> Reply:
    report = Report(
        runbook="health", correlation="c" * 26, started=NOW, duration=timedelta(seconds=1), results=results
    )
    return finished(RUNBOOK, report, (), 0)


def rows(reply: Reply) -> list[tuple[str, str, str]]:
    return [
        (row.title, row.value, row.note)
        for element in reply.elements
        if isinstance(element, Rows)
        for row in element.rows
    ]


def test_checks_that_one_cause_took_share_a_row() -> None:
    """A host that is down is said once, with all that could not be measured there."""
    titles = ("disk", "memory", "load")

    reply = card(*(result("web-1", title, Status.UNKNOWN, None, DOWN) for title in titles))

    assert rows(reply) == [("web-1 disk, memory, load", "", DOWN)]
    assert len(as_data_rows(reply)) == 3


def as_data_rows(reply: Reply) -> list[object]:
    assert isinstance(reply.data, dict)
    found = reply.data["results"]
    assert isinstance(found, list)
    return found


def test_what_has_a_value_or_another_cause_has_its_own_row() -> None:
    """Only what is the same in target, status and reason shares a row, and nothing that was measured does."""
    reply = card(
        result("web-1", "disk", Status.UNKNOWN, None, DOWN),
        result("web-2", "disk", Status.UNKNOWN, None, DOWN),
        result("web-1", "services", Status.CRITICAL, None, DOWN),
        result("db", "connections", Status.WARNING, 91.0, "same"),
        result("db", "disk", Status.WARNING, 91.0, "same"),
    )

    assert len(rows(reply)) == 5


def test_value_and_limit_are_not_repeated_as_a_reason() -> None:
    """A row that shows `91 %  (limit > 80 %)` does not say so again in words."""
    reply = card(result("db", "used", Status.WARNING, 91.0, "used 91 % > 80 %", bound="> 80 %"))

    assert rows(reply) == [("db used", "91 %", "")]


def test_what_is_fine_is_one_line_by_target() -> None:
    """All that is fine stands in one paragraph, each target once with its values."""
    reply = card(
        result("web-1", "disk", Status.OK, 24.0),
        result("db", "connections", Status.OK, 12.0),
        result("web-1", "load", Status.OK, 1.0),
        result("web-1", "services", Status.OK),
    )

    (paragraph,) = [element for element in reply.elements if isinstance(element, Paragraph)]
    assert plain(paragraph.text) == "4 fine: web-1 disk 24 %, load 1 %, services  ·  db connections 12 %"


def test_the_fallback_reads_well_in_a_notification() -> None:
    """One line says the status and the worst three."""
    bad = [result("db", f"check{n}", Status.CRITICAL, 1.0) for n in range(5)]

    assert card(*bad).fallback == ("Health check: critical. db check0, db check1, db check2 and 2 more")
    assert card(result("db", "ping", Status.OK)).fallback == "Health check: ok, 1 check fine"


def test_nothing_to_judge_is_not_counted_as_fine() -> None:
    """A skipped check is told apart, with its reason."""
    reply = card(result("cache", "hit rate", Status.SKIPPED, None, "no traffic in 5 min"))

    assert "fine" not in str(reply.elements)
    assert "no traffic in 5 min" in str(reply.elements)
    assert reply.status is Status.UNKNOWN


def test_a_card_under_way_says_how_far_it_is() -> None:
    """Before the first result there is a card already, with what is being checked."""
    reply = under_way(RUNBOOK, [], [])

    assert reply.done is False
    assert "0 of 0 checks done" in plain(reply.elements[0].text)  # type: ignore[union-attr]


def test_machines_get_every_row() -> None:
    """`--json` has each check with value, status and time."""
    report = Report(
        runbook="health",
        correlation="c" * 26,
        started=NOW,
        duration=timedelta(seconds=1),
        results=(result("db", "ping", Status.OK, 3.0),),
    )

    data = as_data(report)

    assert data["status"] == "ok"
    assert data["duration_ms"] == 1000
    assert data["results"][0]["value"] == 3.0  # type: ignore[index]
