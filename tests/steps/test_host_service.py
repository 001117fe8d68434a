"""Units of systemd. A test machine has none: `systemctl` here repeats what the real one said of real units.

The files in systemctl_show/ were recorded from `systemctl show` of systemd 252, booted in a container with
units that run, fail, flap, wait and are missing.
"""

from pathlib import Path

import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps.host_service import HostService
from runbooks.steps.reach import Reach
from runbooks.targets import HostTarget
from tests.steps.conftest import Programs

HERE = HostTarget(name="here", type="host")
RECORDED = Path(__file__).with_name("systemctl_show")


@pytest.fixture
def systemctl(programs: Programs) -> None:
    """A systemctl that repeats the recorded answer for each unit that is asked for."""
    programs.add(
        "systemctl",
        f"""while [ "$1" != -- ]; do shift; done; shift
for unit; do cat "{RECORDED}/$unit" && printf '\\n'; done""",
    )


@pytest.mark.parametrize(
    ("unit", "finding"),
    [
        ("broken.service", (Status.CRITICAL, "broken.service: failed (exit-code, status 1)")),
        ("no-such.service", (Status.CRITICAL, "no-such.service: no such unit")),
        ("stopped.service", (Status.CRITICAL, "stopped.service: not running")),
        ("masked.service", (Status.CRITICAL, "masked.service: cannot be started (masked)")),
        ("slow.service", (Status.WARNING, "slow.service: activating (start)")),
        (
            "flapping.service",
            (Status.CRITICAL, "flapping.service: keeps failing (exit-code, status 3), being restarted"),
        ),
    ],
)
async def test_a_unit_that_does_not_run_is_found(
    systemctl: None, reach: Reach, unit: str, finding: tuple[Status, str]
) -> None:
    """Each way of not running has its own words; a missing unit is not "inactive"."""
    measured = await HostService(units=(unit,)).measure(HERE, reach)

    assert measured.findings == (finding,)


async def test_units_that_run_are_counted(systemctl: None, reach: Reach) -> None:
    """A running service, a finished oneshot and one restarted after a crash are active."""
    units = ("app.service", "once.service", "crashed.service")

    measured = await HostService(units=units).measure(HERE, reach)

    assert measured.values == {"active": 3, "failed": 0, "restarts": 1}
    assert (measured.findings, measured.summary) == ((), "of 3, 1 restarts")


async def test_every_unit_has_a_line_with_its_state(systemctl: None, reach: Reach) -> None:
    """The details tell state, since when, and restarts."""
    units = ("crashed.service", "broken.service", "no-such.service")

    measured = await HostService(units=units).measure(HERE, reach)

    assert measured.details == (
        "crashed.service: active (running) since Sat 2026-11-21 20:10:54 UTC, 1 restarts",
        "broken.service: failed (failed), 0 restarts",
        "no-such.service: not-found, 0 restarts",
    )


async def test_the_targets_services_are_the_default(systemctl: None, reach: Reach) -> None:
    """Without `units` the target's own services are looked at."""
    target = HERE.model_copy(update={"services": ("app.service",)})

    assert (await HostService().measure(target, reach)).values["active"] == 1


@pytest.mark.parametrize(
    ("units", "services", "applies"), [((), (), False), (("a",), (), True), ((), ("b",), True)]
)
def test_it_applies_where_units_are_named(
    units: tuple[str, ...], services: tuple[str, ...], applies: bool
) -> None:
    """A host for which no unit is named has nothing to be looked at."""
    target = HERE.model_copy(update={"services": services})

    assert HostService(units=units).applies_to(target) is applies


@pytest.mark.parametrize("unit", ["--host=evil", "a b", "*", "a\nb", "", "a;id", "x" * 300])
def test_a_unit_name_is_never_an_option_or_a_pattern(unit: str) -> None:
    """Names that systemctl would read as something else are refused when they are loaded."""
    with pytest.raises(ValidationError):
        HostService(units=(unit,))
    with pytest.raises(ValidationError):
        HostTarget(name="here", type="host", services=(unit,))


async def test_a_machine_without_systemd_is_told(reach: Reach, programs: Programs) -> None:
    """What systemctl says without systemd is the reason of the unknown."""
    words = "System has not been booted with systemd as init system (PID 1). Can't operate."
    programs.add("systemctl", f'echo "{words}" >&2; exit 1')

    with pytest.raises(StepError, match="systemctl on this machine: System has not been booted with systemd"):
        await HostService(units=("app.service",)).measure(HERE, reach)
