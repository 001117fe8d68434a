"""The fields of gates, manual steps and waits: a policy that cannot work is refused when it is read."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from runbooks.steps.gate import Gate
from runbooks.steps.manual import Manual
from runbooks.steps.wait import Wait


def gate(**fields: Any) -> Gate:
    return Gate.model_validate({"approvers": ["sre"]} | fields)


def test_a_gate_denies_by_default() -> None:
    """One person, not the requester, within a day."""
    assert gate() == gate(quorum=1, requester_may_approve=False, expires="1d", on_expiry="deny", remind=[])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"approvers": []}, "at least 1 item"),
        ({"approvers": ["SRE team"]}, "name a role"),
        ({"approvers": ["sre", ""]}, "name a role"),
        ({"approvers": ["<!channel>"]}, "name a role"),
        ({"quorum": 0}, "greater than or equal to 1"),
        ({"quorum": -1}, "greater than or equal to 1"),
        ({"quorum": "2"}, "valid integer"),
        ({"quorum": True}, "valid integer"),
        ({"approvers": ["U1", "U2"], "quorum": 3}, "only 2 different people may approve"),
        ({"approvers": ["U1", "U1", "ann@example.com"], "quorum": 3}, "can never be reached"),
        ({"expires": "0s"}, "longer than 0s"),
        ({"expires": "31d"}, "at most 30d"),
        ({"on_expiry": "approve"}, "'hold' or 'deny'"),
        ({"remind": ["1h", "30m"]}, "comes after the one before"),
        ({"remind": ["1h", "1h"]}, "comes after the one before"),
        ({"remind": ["1h"], "expires": "1h"}, "1h is not before it expires"),
        ({"remind": [f"{n}m" for n in range(1, 12)]}, "at most 10 items"),
        ({"then": "oncall"}, "give `remind` as well"),
        ({"channel": "#sec"}, "a name is small letters"),
        ({"approver": ["sre"]}, "not permitted"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(fields: dict[str, Any], words: str) -> None:
    """And the message says why."""
    with pytest.raises(ValidationError, match=words):
        gate(**fields)


@pytest.mark.parametrize(
    "holder", ["sre", "db-admins", "U0123ABCD", "W1", "S123", "@oncall", "ann@example.com"]
)
def test_approvers_are_named_as_in_the_settings(holder: str) -> None:
    """By role, user id, usergroup or e-mail address; a role or a usergroup may have any number of people."""
    assert gate(approvers=[holder]).approvers == (holder,)


def test_a_quorum_may_count_on_who_is_asked_last() -> None:
    """Two named people and a third with the last reminder can be three."""
    assert gate(approvers=["U1", "U2"], quorum=3, remind=["1h"], then="U3").quorum == 3
    assert gate(approvers=["sre"], quorum=20).quorum == 20


def test_who_asks_for_what_nobody_else_can_approve_is_told() -> None:
    """Four eyes of two people, one of whom asks: nobody could ever approve it."""
    two = gate(approvers=["U1", "U2"], quorum=2)

    assert "U1, who asks for the run, may not" in two.stuck_for("U1")
    assert two.stuck_for("U3") == ""
    assert gate(approvers=["U1", "U2"], quorum=2, requester_may_approve=True).stuck_for("U1") == ""
    assert gate(approvers=["U1", "sre"], quorum=2).stuck_for("U1") == ""
    assert gate(approvers=["U1"]).stuck_for("U1") != ""


def test_the_plan_says_what_a_gate_asks_for() -> None:
    """Who, how many, how long, and what happens if nobody comes."""
    asked = gate(
        approvers=["sre", "dba", "U1"],
        quorum=2,
        expires="4h",
        remind=["30m", "1h"],
        then="oncall",
        channel="sec",
    )

    assert asked.plan_lines({}) == (
        "2 different people of sre, dba or U1 must approve",
        "not approved within 4h: denied",
        "reminds after 30m and 1h",
        "oncall is asked with the last reminder, and may approve from then on",
        "asks in sec",
    )
    assert gate(requester_may_approve=True, on_expiry="hold").plan_lines({}) == (
        "1 person of sre must approve",
        "who asked for the run may approve it as well",
        "not approved within 1d: held until somebody asks again",
    )


def test_the_plan_says_what_is_done_by_hand() -> None:
    """The instructions, line by line, and who follows them."""
    step = Manual.model_validate(
        {
            "instructions": "Swap it\n\n  Look\n",
            "evidence": "required",
            "who": ["dba"],
            "assign": "U7",
            "expires": "2h",
        }
    )

    assert step.plan_lines({}) == (
        "Swap it",
        "  Look",
        "a person (dba) says that it is done, with evidence",
        "U7 is asked to do it",
        "fails when nobody says so within 2h",
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"instructions": ""},
        {"instructions": "x", "evidence": "maybe"},
        {"instructions": "x", "expires": "1h", "remind": ["2h"]},
        {"instructions": "x", "who": ["no body"]},
    ],
)
def test_a_manual_step_that_cannot_work_is_refused(fields: dict[str, Any]) -> None:
    """Without instructions, say, or with a reminder after its end."""
    with pytest.raises(ValidationError):
        Manual.model_validate(fields)


def test_a_manual_step_may_wait_without_end() -> None:
    """Reminders need no end."""
    assert Manual.model_validate({"instructions": "x", "remind": ["1h"]}).expires is None


def test_a_wait_is_written_with_for() -> None:
    """`for` is the key, in messages and in the schema too."""
    wait = Wait.model_validate({"for": "1h30m"})

    assert wait.length == timedelta(minutes=90)
    assert wait.plan_lines({}) == ("waits 1h30m",)
    assert Wait.written() == ["for"]
    assert list(Wait.model_json_schema()["properties"]) == ["for"]


@pytest.mark.parametrize("fields", [{}, {"for": "0s"}, {"for": "91d"}, {"for": 10}, {"length": "1h"}])
def test_a_wait_without_a_length_is_refused(fields: dict[str, Any]) -> None:
    """A time is given, and not for ever."""
    with pytest.raises(ValidationError):
        Wait.model_validate(fields)
