"""What bodies come to: recorded ones, odd ones, and any at all."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.hooks import AnyHook
from bot.hooks.alertmanager import Alertmanager
from bot.hooks.generic import Json, at
from bot.hooks.grafana import Grafana
from bot.hooks.outside import address, moment, number, text, texts
from bot.hooks.told import Known, Told, Unreadable
from runbooks.records.alerts import Severity
from runbooks.targets import HttpTarget
from runbooks.watch.signal import CUT, Seen
from tests.hooks.sending import TOKEN, alert, payload

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
START = NOW - timedelta(minutes=10)
WEB = HttpTarget(name="web-1", type="http", url="http://web-1.example.com", environment="staging")
KNOWN = Known(targets={"web-1": WEB}, runbooks=("restart-app",))
RECORDED = Path(__file__).parent / "recorded"


def alertmanager(**fields: Any) -> Alertmanager:
    """A hook for Alertmanager."""
    return Alertmanager.model_validate({"type": "alertmanager", "token": TOKEN, **fields})


def generic(**fields: Any) -> Json:
    """A hook for anything."""
    base = {"type": "json", "token": TOKEN, "id": "id", "status": "status", "fields": {"title": "title"}}
    return Json.model_validate({**base, **fields})


def read(body: Any, hook: AnyHook | None = None) -> Told:
    """What a body says to a hook that is called `am`."""
    return (hook or alertmanager()).read("am", body, KNOWN, NOW)


def one(labels: dict[str, str], **more: Any) -> Any:
    """The signal of one alert with those labels."""
    (signal,) = read(payload([alert(labels, START, **more)])).signals
    return signal


def test_what_a_real_alertmanager_sent_is_understood() -> None:
    """Version 0.25 of Debian, firing and resolved in one body."""
    told = read(json.loads((RECORDED / "alertmanager.json").read_text()))
    firing, over = told.signals

    assert (firing.seen, over.seen) == (Seen.BAD, Seen.WELL)
    assert firing.at < over.at <= NOW
    assert firing.title == "web-1 Burning"
    assert firing.fingerprint != over.fingerprint
    assert (told.left_out, told.unreadable) == (0, 0)


def test_the_target_of_maint_yaml_says_the_environment() -> None:
    """Whatever is sent: who may see staging is not shown production for a label's sake, nor the other way."""
    ours = one({"instance": "web-1:9100", "environment": "production"})
    theirs = one({"instance": "node-7:9100", "env": "lab"})

    assert (ours.target, ours.environment) == ("web-1", "staging")
    assert (theirs.target, theirs.environment) == ("node-7:9100", "lab")


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("critical", "critical"),
        ("PAGE", "critical"),
        ("warn", "warning"),
        ("none", "info"),
        ("", "warning"),
        ("sev7", "warning"),
    ],
)
def test_words_for_severities(word: str, severity: str) -> None:
    """Those of others too; of one that nobody knows, nobody says that it does not matter."""
    assert one({"severity": word}).severity == Severity(severity)


def test_a_runbook_that_there_is_not_is_no_button() -> None:
    """What is sent names one of ours, or none."""
    assert one({"runbook": "restart-app"}).runbook == "restart-app"
    assert one({"runbook": "../../etc"}).runbook == ""


def test_a_clock_that_is_ahead_does_not_outlast_all_later_firings() -> None:
    """A beginning in the future is now."""
    (signal,) = read(payload([alert({}, NOW + timedelta(days=400))])).signals

    assert datetime.fromisoformat(signal.key) == NOW
    assert signal.at == NOW


def test_labels_that_cannot_be_kept_are_known_to_be_missing() -> None:
    """A silence for fewer labels would hit more than this alert."""
    assert CUT not in one({"a": "b" * 500}).labels
    for labels in ({"a": "b" * 20_000}, {"a": "\x00"}, {"a": "\ud800"}, {CUT: "x"}, {"\u202e": "x"}):
        assert CUT in one(labels).labels


def test_the_same_labels_are_the_same_trouble() -> None:
    """Also of a sender without fingerprints; another hook's are another."""
    first, again = (one({"a": "b"}, fingerprint=None) for _ in range(2))
    (other,) = (
        alertmanager().read("eu", payload([alert({"a": "b"}, START, fingerprint=None)]), KNOWN, NOW).signals
    )

    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_a_body_that_is_one_alert_or_a_list() -> None:
    """Without `alerts:` both are taken."""
    item = {"id": 1, "status": "firing", "title": "x"}

    assert len(read(item, generic()).signals) == 1
    assert len(read([item, item], generic()).signals) == 2
    assert read([item, {"id": 2, "status": "?"}], generic()).unreadable == 1
    with pytest.raises(Unreadable, match="`status` one of: firing, resolved, ok"):
        read([{"id": 2, "status": "?"}], generic())


def test_paths_lead_to_values() -> None:
    """By names and numbers; a way that ends early leads nowhere."""
    body = {"a": [{"b": 0}, {"b.c": 1}], "1": 2}

    assert at(body, "a.0.b") == 0
    assert at(body, "1") == 2
    for way in ("a.2.b", "a.-1.b", "a.0.b.c", "b", "a.b", "a.99999999999999999999", "a.²"):
        assert at(body, way) is None, way


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2026-11-22T09:00:00.123456789+01:00", datetime(2026, 11, 22, 8, 0, 0, 123456, tzinfo=UTC)),
        ("2026-11-22T09:00:00", NOW),
        (NOW.timestamp(), NOW),
        (NOW.timestamp() * 1000, NOW),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        (-1e300, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        (True, None),
        ([], None),
        ("yesterday", None),
    ],
)
def test_moments(value: Any, found: datetime | None) -> None:
    """Those of Go, of clocks without a zone and of numbers; what is none is none."""
    assert moment(value) == found


def test_only_addresses_of_the_web_are_links() -> None:
    """Nothing else can be clicked."""
    assert address("https://x.example/a?b=c#d") == "https://x.example/a?b=c#d"
    for bad in (
        "javascript:alert(1)",
        "http://",
        "http://x y",
        "http://x|y",
        "http://[",
        "file:///etc",
        5,
        "",
        None,
    ):
        assert address(bad) == ""


NAMES = (
    *("alerts", "status", "startsAt", "labels", "annotations", "endsAt"),
    *("fingerprint", "values", "generatorURL", "id", "title", "severity"),
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["firing", "resolved", "4", NOW.isoformat(), "0001-01-01T00:00:00Z", "http://x"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=9)
            | st.sampled_from(
                [
                    "alerts",
                    "status",
                    "labels",
                    "annotations",
                    "startsAt",
                    "endsAt",
                    "values",
                    "severity",
                    "id",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)
alerts = st.fixed_dictionaries(
    {"status": st.sampled_from(["firing", "resolved"]), "startsAt": st.just(NOW.isoformat()) | anything},
    optional=dict.fromkeys(NAMES[3:], anything),
)
bodies = st.fixed_dictionaries({"version": st.just("4"), "alerts": st.lists(alerts | anything)})
HOOKS = (
    alertmanager(),
    Grafana(type="grafana", token=alertmanager().token),
    generic(
        fields={
            name: f"{name}.0"
            for name in ("title", "summary", "severity", "target", "owner", "value", "start", "end")
        },
        labels={"a": "labels"},
        links={"b": "generatorURL"},
    ),
)


@given(st.sampled_from(HOOKS), anything | bodies | alerts)
def test_no_body_is_an_error_of_ours(hook: AnyHook, body: Any) -> None:
    """It is read, or it is told why not; what is read can be kept."""
    try:
        told = read(body, hook)
    except Unreadable:
        return
    for signal in told.signals:
        assert signal.at <= NOW
        assert signal.title
        for said in (signal.title, signal.summary, signal.target, signal.owner, *signal.labels.values()):
            assert b"\x00" not in said.encode()


@given(anything)
def test_values_of_any_type_have_a_meaning_or_none(value: Any) -> None:
    """Nothing raises."""
    text(value)
    number(value)
    moment(value)
    address(value)
    assert all(isinstance(each, str) for each in texts(value).values())
