"""docs/escalation.md says what is so: its maint.yaml can be read, and its table is what ships."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.escalation_settings import shipped
from bot.settings import load_settings
from runbooks.errors import ConfigError
from runbooks.watch.policies import Trouble
from runbooks.watch.rotations import on_call

PAGE = (Path(__file__).parents[2] / "docs" / "escalation.md").read_text(encoding="utf-8")
ENVIRONMENT = {"PAGERDUTY_KEY": "r" * 32, "SMTP_PASSWORD": "a-password"}
REST = """
slack: {channels: {ops: C0000000OPS, shop: C000000SHOP}}
roles: {devops: {members: ['@devops']}}
"""


def example() -> str:
    found = re.search(r"```yaml\n# maint.yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1] + REST


def test_the_example_is_a_maint_yaml(tmp_path: Path) -> None:
    """Every name in it is known, and it does what the page says."""
    (tmp_path / "maint.yaml").write_text(example())
    loaded = load_settings(tmp_path / "maint.yaml", ENVIRONMENT)
    router = loaded.settings.escalation.router()
    friday = datetime(2026, 11, 20, 12, tzinfo=UTC)

    down = Trouble(severity="critical", runbook="health", step="services", target="shop-1")
    assert (router.way(down, friday).policy, router.way(down, friday).channel) == ("shop", "shop")
    mine = Trouble(severity="warning", owner="platform")
    assert router.way(mine, friday).policy == "slow"
    assert router.way(mine, friday.replace(hour=20)).policy == ""
    rotation = loaded.settings.rotations["oncall"]
    assert on_call(rotation, friday).person == "U0ANN"
    assert on_call(rotation, datetime(2026, 12, 25, tzinfo=UTC)).person == "U0BOB"
    for secret in ENVIRONMENT.values():
        assert secret not in repr(loaded.settings)
        assert secret not in loaded.scrub(f"it is {secret}")


def test_the_page_has_every_policy_that_ships() -> None:
    """And none that does not."""
    table = PAGE.split("## What ships")[1].split("##")[0]

    assert set(re.findall(r"\| `([a-z-]+)` \|", table)) == set(shipped().policies)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("policy: slow", "policy: slwo", "there is no policy `slwo` (did you mean slow?)"),
        ("channel: shop}", "channel: shpo}", "there is no channel `shpo`"),
        ("by: [mention, page]", "by: [mention, pagr]", "there is no service `pagr`"),
        ("who: [oncall, devops]", "who: [oncall, devop]", "there is no rotation or role `devop`"),
        ("who: '@engineering'", "who: mail:X", "there is no service with schedules `mail`"),
        ("fallback: ops", "fallback: sops", "there is no channel `sops`"),
        ("  oncall:\n", "  devops:\n", "`devops` is a role as well"),
        ("    mail: {", "    dm: {", "`dm` means something else"),
        ("hand_over: Monday", "hand_over: Munday", "is no day"),
        ("'${PAGERDUTY_KEY}'", "''", "routing_key"),
    ],
)
def test_a_name_that_is_not_there_is_a_fault_at_its_place(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    """All are told at once, before anything starts."""
    assert old in example()
    (tmp_path / "maint.yaml").write_text(example().replace(old, new))

    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "maint.yaml", ENVIRONMENT)

    assert said.split(" (did")[0] in str(caught.value)
    assert re.search(r"maint\.yaml:\d+:\d+", str(caught.value))
