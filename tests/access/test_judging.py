"""What a plan touches, held against somebody's grants: a denial wins, and one grant must cover everything."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.access import Access, Approval, Grant, Place, Touch, touched
from runbooks.steps.action import Risk
from runbooks.targets import HostTarget, HttpTarget, TargetBase

OPS = Place(id="C1", name="ops", aliases=frozenset({"ops"}))
DIRECT = Place(id="D1", direct=True)
DB = Touch(target="db", environment="production", risk=Risk.HIGH)
CACHE = Touch(target="cache", environment="production", risk=Risk.LOW)
PREVIEW = Touch(target="preview", environment="staging", risk=Risk.READ)
LATER = Touch(risk=Risk.LOW)
MESSAGE = Touch(risk=Risk.LOW, somewhere=False)
TARGETS: dict[str, TargetBase] = {
    "app": HttpTarget(type="http", name="app", url="https://app.example.com"),
    "web-1": HostTarget(type="host", name="web-1", environment="staging"),
}
RUN = {"role": "sre", "runbooks": ("vacuum",)}
SECOND = Approval(by=("dba",))


def grants(*written: dict[str, Any]) -> tuple[Grant, ...]:
    """Grants as maint.yaml has them, the first in line 1."""
    return tuple(
        Grant(**{**RUN, **one}).model_copy(update={"written_at": f"maint.yaml:{line}"})
        for line, one in enumerate(written, 1)
    )


def access(*written: dict[str, Any], place: Place = OPS) -> Access:
    """Somebody with the role sre."""
    return Access(frozenset({"sre"}), grants(*written), place)


@pytest.mark.parametrize(
    ("grant", "touch", "missing"),
    [
        ({"targets": ("db",)}, DB, ""),
        ({"targets": ("d*",)}, DB, ""),
        ({"targets": ("db",)}, CACHE, "not on cache, only on db"),
        ({"targets": ("db",)}, LATER, "not on a target that is not known, only on db"),
        ({"environments": ("staging",)}, DB, "not on db in production, only in staging"),
        ({"environments": ("staging",)}, LATER, "not on a target that is not known, only in staging"),
        ({"environments": ("staging",), "targets": ("db",)}, MESSAGE, ""),
        ({"risk": "low"}, CACHE, ""),
        ({"risk": "low"}, DB, "not at risk high, only up to low"),
        ({"risk": "medium"}, DB, "not at risk high, only up to medium"),
        ({"risk": "read"}, MESSAGE, "not at risk low, only up to read"),
        ({"risk": "high"}, DB, ""),
        ({}, DB, ""),
        ({}, LATER, ""),
    ],
)
def test_a_grant_covers_a_target_its_environment_and_the_risk(
    grant: dict[str, Any], touch: Touch, missing: str
) -> None:
    """What is not known is covered by `*` only, and what is missing is said with the line."""
    verdict = access(grant).may_run("vacuum", [touch])

    assert verdict.allowed is not bool(missing)
    assert verdict.missing == ((f"maint.yaml:1 allows it {missing}",) if missing else ())


@pytest.mark.parametrize(
    ("denial", "touch", "denied"),
    [
        ({}, DB, True),
        ({"targets": ("db",)}, DB, True),
        ({"targets": ("db",)}, CACHE, False),
        ({"targets": ("db",)}, LATER, True),
        ({"environments": ("production",)}, DB, True),
        ({"environments": ("production",)}, PREVIEW, False),
        ({"environments": ("production",)}, LATER, True),
        ({"environments": ("production",)}, MESSAGE, False),
        ({"risk": "high"}, DB, True),
        ({"risk": "high"}, CACHE, False),
        ({"risk": "low"}, CACHE, True),
        ({"risk": "low"}, PREVIEW, False),
        ({"channels": ("alerts",)}, DB, False),
        ({"channels": ("ops",)}, DB, True),
        ({"runbooks": ("other",)}, DB, False),
        ({"runbooks": ("*",)}, DB, True),
        ({"role": "dba"}, DB, False),
    ],
)
def test_a_denial_wins_over_every_grant(denial: dict[str, Any], touch: Touch, denied: bool) -> None:
    """Also where it is not known whether it is meant: the target that comes later may be that one."""
    verdict = access({}, {**denial, "deny": True}, {}).may_run("vacuum", [touch])

    assert verdict.denied is denied
    assert verdict.allowed is not denied
    assert verdict.grant is not None
    assert verdict.grant.place == ("maint.yaml:2" if denied else "maint.yaml:1")


def test_what_is_denied_everywhere_is_denied_in_direct_messages() -> None:
    """A grant for every channel allows no direct message; a denial for every channel denies there too."""
    somebody = access({"channels": ("*", "direct")}, {"deny": True}, place=DIRECT)

    assert not somebody.may_run("vacuum", []).allowed
    assert access({"channels": ("*", "direct")}, place=DIRECT).may_run("vacuum", []).allowed


def test_one_target_of_many_that_is_denied_denies_the_plan() -> None:
    """A plan is done as a whole, or not."""
    verdict = access({}, {"targets": ("db",), "deny": True}).may_run("vacuum", [CACHE, DB, PREVIEW])

    assert verdict.denied


@pytest.mark.parametrize(
    ("written", "by", "approval"),
    [
        ([{"approval": SECOND}], "maint.yaml:1", SECOND),
        ([{"approval": SECOND}, {}], "maint.yaml:2", None),
        ([{"approval": SECOND}, {"targets": ("cache",)}], "maint.yaml:1", SECOND),
        ([{"approval": SECOND}, {"approval": Approval(by=("sre",))}], "maint.yaml:1", SECOND),
    ],
)
def test_a_grant_that_asks_for_nobody_makes_an_approval_unnecessary(
    written: list[dict[str, Any]], by: str, approval: Approval | None
) -> None:
    """If it covers everything; of several that ask, the first in the file is taken."""
    verdict = access(*written).may_run("vacuum", [DB])

    assert (verdict.grant and verdict.grant.place, verdict.approval) == (by, approval)


def test_a_word_can_be_denied_on_one_target() -> None:
    """The word stays open on the others; denied on all of them, it is not open at all."""
    health = {"runbooks": (), "commands": ("health",)}
    one = access(health, {**health, "targets": ("db",), "deny": True})
    every = access(health, {**health, "deny": True})

    assert one.may_use("health")
    assert not one.may_touch("health", "production", "db")
    assert one.may_touch("health", "production", "cache")
    assert not every.may_use("health")


def test_the_glass_is_not_broken_by_whom_it_is_denied_to() -> None:
    """`commands: ['*']` that denies has this word in it as well, though none that allows has."""
    glass = {"runbooks": (), "commands": ("break-glass",)}

    assert access(glass).roles_granted("break-glass", [DB]) == {"sre"}
    assert access(glass, {"commands": ("*",), "deny": True}).roles_granted("break-glass", [DB]) == frozenset()
    assert access({**glass, "risk": "low"}).roles_granted("break-glass", [DB]) == frozenset()
    assert access({**glass, "targets": ("db",)}).roles_granted("break-glass", [DB]) == {"sre"}


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        ({"steps": [{"target": "app", "risk": "low"}]}, {("app", "production", "low", True)}),
        ({"steps": [{"target": "app"}]}, {("app", "production", "high", True)}),
        ({"steps": [{"target": "app", "risk": "terrible"}]}, {("app", "production", "high", True)}),
        ({"steps": [{"target": "", "risk": "low"}]}, {("", "", "low", False)}),
        ({"steps": [{"target": "gone", "risk": "low"}]}, {("", "", "low", True)}),
        ({"targets": {"app": "…"}, "locks": ["web-1", "x"]},
         {("app", "production", "read", True), ("web-1", "staging", "read", True)}),
        ({"rollback": [{"target": "web-1", "risk": "high"}]}, {("web-1", "staging", "high", True)}),
    ],
)  # fmt: skip
def test_a_plan_touches_each_target_at_the_risk_of_its_step(
    plan: dict[str, Any], found: set[tuple[str, str, str, bool]]
) -> None:
    """Also on the way back. A step that says no risk may be the worst, and what is gone may be anything."""
    touches = touched(plan, TARGETS)

    assert {(each.target, each.environment, str(each.risk), each.somewhere) for each in touches} == found


NAMES = st.sampled_from(["db", "cache", "*", "c*"])
PLACES = st.sampled_from(["production", "staging", "*"])
RISKS = st.sampled_from([None, *Risk])
WRITTEN = st.fixed_dictionaries(
    {
        "runbooks": st.tuples(st.sampled_from(["vacuum", "other", "*"])),
        "targets": st.tuples(NAMES),
        "environments": st.tuples(PLACES),
        "risk": RISKS,
        "channels": st.tuples(st.sampled_from(["ops", "alerts", "*", "direct"])),
        "approval": st.sampled_from([None, SECOND]),
    }
)
TOUCHES = st.lists(st.sampled_from([DB, CACHE, PREVIEW, LATER, MESSAGE]), max_size=4)


@given(st.lists(WRITTEN, max_size=4), WRITTEN, TOUCHES)
def test_no_denial_ever_allows_more(
    written: list[dict[str, Any]], one: dict[str, Any], touches: list[Touch]
) -> None:
    """And no grant ever allows less, whatever else stands in the file."""
    before = access(*written).may_run("vacuum", touches)
    with_denial = access(*written, {**one, "approval": None, "deny": True}).may_run("vacuum", touches)
    with_grant = access(*written, one).may_run("vacuum", touches)

    assert before.allowed or not with_denial.allowed
    assert with_grant.allowed or not before.allowed
    if before.allowed and before.approval is None:
        assert with_grant.approval is None


@given(st.lists(WRITTEN, max_size=4), TOUCHES, st.sampled_from([DB, CACHE, PREVIEW, LATER, MESSAGE]))
def test_touching_more_never_needs_less(
    written: list[dict[str, Any]], touches: list[Touch], more: Touch
) -> None:
    """What is allowed on all of these is allowed on some of them."""
    both = [{**each, "deny": number % 2 == 1, "approval": None} for number, each in enumerate(written)]

    if access(*both).may_run("vacuum", [*touches, more]).allowed:
        assert access(*both).may_run("vacuum", touches).allowed
