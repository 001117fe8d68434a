"""The checks of a machine's resources, on this machine."""

import sys
from pathlib import Path

import pytest

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps.host import HostDisk, HostLoad, HostMemory, HostProcesses
from runbooks.steps.reach import Reach
from runbooks.targets import HostTarget
from tests.steps.conftest import Programs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

HERE = HostTarget(name="here", type="host")


async def test_disk_tells_the_fullest_mount(reach: Reach) -> None:
    """The headline is a percentage, and the mount that it belongs to is an absolute path."""
    measured = await HostDisk().measure(HERE, reach)

    assert 0 <= float(str(measured.values["used_percent"])) <= 100
    assert str(measured.values["mount"]).startswith("/")


async def test_disk_computes_as_df_does(reach: Reach, programs: Programs) -> None:
    """Used percent is of what users may write, and inodes may be fullest elsewhere."""
    programs.add(
        "df",
        """cat <<'END'
Type    Used Avail Inodes IUsed Mounted on
ext4      60    20    100    10 /
xfs       10    90    100    80 /srv/a b
vfat       1    99      -     - /boot/efi
squashfs 100     0      5     5 /snap/x/1
tmpfs     90    10      5     5 /run
END""",
    )

    measured = await HostDisk().measure(HERE, reach)

    assert measured.values == {"used_percent": 75, "inodes_percent": 80, "mount": "/", "free_bytes": 20}
    assert measured.details == (
        "/ (ext4): 75 % used, 20 B free, inodes 10 %",
        "/srv/a b (xfs): 10 % used, 90 B free, inodes 80 %",
        "/boot/efi (vfat): 1 % used, 99 B free",
    )
    assert measured.summary == "/, 20 B free, most inodes on /srv/a b"


async def test_a_containers_root_counts(reach: Reach, programs: Programs) -> None:
    """An overlay is left out, but for the root of a container."""
    programs.add("df", "printf 'head\\noverlay 1 3 0 0 /\\noverlay 3 1 0 0 /var/lib/docker/overlay2/x\\n'")

    measured = await HostDisk().measure(HERE, reach)

    assert measured.values["used_percent"] == 25


async def test_a_mount_that_must_be_there_and_is_not_is_critical(reach: Reach) -> None:
    """A named mount that is missing is critical; those that are there are measured."""
    measured = await HostDisk(mounts=("/", "/no-such-mount")).measure(HERE, reach)

    assert measured.findings == ((Status.CRITICAL, "/no-such-mount: not mounted, or it does not answer"),)
    assert measured.values["mount"] == "/"


@pytest.mark.skipif(not Path("/dev/shm").is_mount(), reason="/dev/shm is not mounted here")
async def test_a_named_mount_may_be_of_any_kind(reach: Reach) -> None:
    """A tmpfs is measured when it is named."""
    measured = await HostDisk(mounts=("/dev/shm",)).measure(HERE, reach)

    assert measured.values["mount"] == "/dev/shm"


async def test_ignored_mounts_are_left_out(reach: Reach, programs: Programs) -> None:
    """`ignore_mounts` of the target takes patterns."""
    programs.add("df", "printf 'head\\next4 1 3 0 0 /\\next4 3 1 0 0 /mnt/usb1\\n'")
    target = HERE.model_copy(update={"ignore_mounts": ("/mnt/*",)})

    measured = await HostDisk().measure(target, reach)

    assert measured.values["mount"] == "/"


async def test_a_broken_mount_is_a_warning(reach: Reach, programs: Programs) -> None:
    """What df says of a mount that does not answer is told; what it may not see is not."""
    programs.add("df", "printf 'head\\next4 1 3 0 0 /\\n'; echo 'df: /nfs: Stale file handle' >&2; exit 1")

    measured = await HostDisk().measure(HERE, reach)

    assert measured.findings == ((Status.WARNING, "df: /nfs: Stale file handle"),)


async def test_a_mount_that_is_private_is_no_warning(reach: Reach, programs: Programs) -> None:
    """A mount that df may not look at stands in the details only."""
    complaint = "df: /run/user/1000/doc: Operation not permitted"
    programs.add("df", f"printf 'head\\next4 1 3 0 0 /\\n'; echo '{complaint}' >&2; exit 1")

    measured = await HostDisk().measure(HERE, reach)

    assert (measured.findings, measured.details[-1]) == ((), complaint)


async def test_a_df_without_output_columns_is_told(reach: Reach, programs: Programs) -> None:
    """BusyBox's df cannot do it: the error says which df it takes."""
    programs.add("df", "echo 'df: unrecognized option: output' >&2; exit 1")

    with pytest.raises(StepError, match=r"needs the df of GNU coreutils .*unrecognized option: output"):
        await HostDisk().measure(HERE, reach)


async def test_a_df_that_hangs_costs_its_timeout(reach: Reach, programs: Programs) -> None:
    """A file system that does not answer ends in an error that names df and the time."""
    programs.add("df", "sleep 60")

    with pytest.raises(StepError, match="`df` on this machine did not end within 200ms"):
        await HostDisk.model_validate({"timeout": "200ms"}).measure(HERE, reach)


async def test_memory_is_measured(reach: Reach) -> None:
    """Available memory is part of the total of this machine."""
    measured = await HostMemory().measure(HERE, reach)

    assert 0 < float(str(measured.values["available_percent"])) <= 100
    assert float(str(measured.values["available_bytes"])) > 0


async def test_memory_without_swap_or_pressure_has_no_value_for_them(
    reach: Reach, programs: Programs
) -> None:
    """No swap and no pressure file are no data, not 0 %."""
    programs.add("cat", "echo 'MemTotal: 100 kB'; echo 'MemAvailable: 25 kB'; echo 'SwapTotal: 0 kB'; exit 1")

    measured = await HostMemory().measure(HERE, reach)

    assert measured.values == {
        "available_percent": 25,
        "available_bytes": 25 * 1024,
        "swap_used_percent": None,
        "pressure_percent": None,
    }


async def test_memory_with_swap_and_pressure_tells_them(reach: Reach, programs: Programs) -> None:
    """Swap used and the pressure of the last minute are measured where there are any."""
    programs.add(
        "cat",
        """cat_() { printf '%s\\n' "$@"; }
cat_ 'MemTotal: 100 kB' 'MemAvailable: 25 kB' 'SwapTotal: 200 kB' 'SwapFree: 50 kB'
cat_ 'some avg10=1.00 avg60=2.50 avg300=0.10 total=5' 'full avg10=0.00 avg60=9.00 avg300=0.00 total=0'""",
    )

    measured = await HostMemory().measure(HERE, reach)

    assert (measured.values["swap_used_percent"], measured.values["pressure_percent"]) == (75, 2.5)
    assert measured.summary == "25 KiB of 100 KiB, swap 75 % used, pressure 2.5 %"


async def test_a_machine_without_proc_is_told(reach: Reach, programs: Programs) -> None:
    """macOS has no /proc/meminfo: the error says that Linux is measured."""
    programs.add("cat", "echo 'cat: /proc/meminfo: No such file or directory' >&2; exit 1")

    with pytest.raises(StepError, match="measures Linux only"):
        await HostMemory().measure(HERE, reach)
    with pytest.raises(StepError, match="measures Linux only"):
        await HostLoad().measure(HERE, reach)


async def test_load_is_per_core(reach: Reach, programs: Programs) -> None:
    """The headline is the 5-minute load over the cores that are on."""
    programs.add(
        "cat",
        "printf '%s\\n' '1.00 6.00 3.00 2/300 4242' '200000.5 99.1' '0-3,8,10-11' 'some avg10=0 avg60=4.00'",
    )

    measured = await HostLoad().measure(HERE, reach)

    assert measured.values == {
        "per_core": 6 / 7,
        "load1": 1,
        "load5": 6,
        "load15": 3,
        "cores": 7,
        "cpu_pressure_percent": 4,
        "uptime_s": 200000.5,
    }


async def test_load_of_this_machine_is_measured(reach: Reach) -> None:
    """This machine has at least one core and has been up for a while."""
    measured = await HostLoad().measure(HERE, reach)

    assert float(str(measured.values["cores"])) >= 1
    assert float(str(measured.values["uptime_s"])) > 0


async def test_processes_of_this_machine_are_counted(reach: Reach) -> None:
    """The details name as many processes by CPU and by memory as `top` says."""
    measured = await HostProcesses(top=2).measure(HERE, reach)

    assert float(str(measured.values["count"])) >= 2
    assert len(measured.details) == 2 * (1 + 2)


async def test_the_biggest_processes_are_named(reach: Reach, programs: Programs) -> None:
    """The top by CPU and by memory, zombies, and names with spaces and control characters."""
    programs.add(
        "ps",
        """printf '%s\\n' ' 1 Ss 0.1 1024 init' ' 20 Z   0.0     0 gone <defunct>' ' 30 R  93.5 2048 my app'
printf ' 40 S 1.0 4096 evil\\033[31m\\n'""",
    )

    measured = await HostProcesses().measure(HERE, reach)

    assert measured.values == {
        "count": 4,
        "zombies": 1,
        "top_cpu": "my app 93.5 %",
        "top_memory": "evil\\x1b[31m 4 MiB",
    }


async def test_a_ps_without_shares_is_told(reach: Reach, programs: Programs) -> None:
    """BusyBox's ps cannot do it: the error says which ps it takes."""
    programs.add("ps", "echo \"ps: bad -o argument 'pcpu'\" >&2; exit 1")

    with pytest.raises(StepError, match=r"needs the ps of procps or macOS .*bad -o argument"):
        await HostProcesses().measure(HERE, reach)
