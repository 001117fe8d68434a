"""What a check measured against its thresholds."""

from typing import ClassVar

import pytest
from pydantic import ValidationError

from runbooks.status import Status
from runbooks.steps.judge import judge
from runbooks.steps.step import Check, Measured, Output
from runbooks.targets import HostTarget


class Gauge(Check[HostTarget]):
    """A check with a headline and two further outputs."""

    kind = "test.gauge"
    title = "gauge"
    needs = HostTarget
    headline = "percent"
    outputs: ClassVar = {
        "percent": Output(title="used", unit="%"),
        "days": Output(title="certificate", unit="days"),
        "role": Output(title="role", number=False),
    }


@pytest.mark.parametrize(
    ("value", "status"),
    [(80.0, Status.OK), (80.1, Status.WARNING), (95.0, Status.WARNING), (95.1, Status.CRITICAL)],
)
def test_the_short_form_judges_the_headline(value: float, status: Status) -> None:
    """`warning: {above: 80}` means the headline, and the bound itself still keeps it."""
    check = Gauge.model_validate({"warning": {"above": 80}, "critical": {"above": 95}})

    assert judge(check, Measured(values={"percent": value})).status is status


def test_the_reason_names_value_and_bound() -> None:
    """A passed threshold says what was measured and what was allowed."""
    check = Gauge.model_validate({"warning": {"percent": {"above": 80}}})

    verdict = judge(check, Measured(values={"percent": 91.26}))

    assert verdict.reasons == ("used 91.3 % > 80 %",)
    assert verdict.bound == "> 80 %"


def test_a_word_is_compared_for_equality() -> None:
    """An output that is a word is judged by `equals` and `differs_from`."""
    check = Gauge.model_validate({"critical": {"role": {"differs_from": "primary"}}})

    assert judge(check, Measured(values={"role": "replica"})).status is Status.CRITICAL
    assert judge(check, Measured(values={"role": "primary"})).status is Status.OK


def test_no_data_at_all_is_unknown() -> None:
    """When not one threshold could be judged nobody knows, so the verdict is not OK."""
    check = Gauge.model_validate({"warning": {"above": 80}})

    verdict = judge(check, Measured(values={"percent": None}))

    assert verdict.status is Status.UNKNOWN
    assert verdict.reasons == ("no data for percent",)


def test_an_output_that_is_not_there_leaves_the_others_judged() -> None:
    """Plain http has no certificate: its threshold is passed over, the headline's is judged."""
    check = Gauge.model_validate({"warning": {"percent": {"above": 80}, "days": {"below": 14}}})

    assert judge(check, Measured(values={"percent": 10.0, "days": None})).status is Status.OK


def test_a_finding_of_the_step_stands_beside_the_thresholds() -> None:
    """The worst of findings and thresholds is the verdict, and its reasons come first."""
    check = Gauge.model_validate({"warning": {"above": 80}})
    measured = Measured(values={"percent": 90.0}, findings=((Status.CRITICAL, "expired"),))

    verdict = judge(check, measured)

    assert verdict.status is Status.CRITICAL
    assert verdict.reasons == ("expired", "used 90 % > 80 %")


def test_nothing_to_judge_is_skipped() -> None:
    """A step that says that there was nothing to judge is skipped, whatever the thresholds."""
    check = Gauge.model_validate({"warning": {"below": 85}})

    verdict = judge(check, Measured(values={"percent": None}, skipped="no traffic"))

    assert verdict == type(verdict)(Status.SKIPPED, ("no traffic",), "")


def test_a_threshold_on_an_unknown_output_is_refused() -> None:
    """The names in `warning:` are the step's outputs."""
    with pytest.raises(ValidationError, match="has no output 'percentage'; it has percent, days, role"):
        Gauge.model_validate({"warning": {"percentage": {"above": 1}}})


def test_a_number_that_is_none_is_no_data() -> None:
    """NaN passes no threshold, so it must not look as if all of them were kept."""
    check = Gauge.model_validate({"critical": {"above": 80}})

    assert judge(check, Measured(values={"percent": float("nan")})).status is Status.UNKNOWN
