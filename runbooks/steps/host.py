"""`host.disk`, `host.memory`, `host.load`, `host.processes`: a machine's own resources."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import ClassVar

from pydantic import Field

from runbooks.errors import StepError
from runbooks.spec.model import Duration, parse_duration
from runbooks.status import Status
from runbooks.steps.host_readings import (
    DF,
    PS,
    Mount,
    Process,
    read_df,
    read_load,
    read_meminfo,
    read_pressure,
    read_ps,
)
from runbooks.steps.machine import Completed, find_machine
from runbooks.steps.reach import Reach
from runbooks.steps.step import LONGEST_CHECK, Check, Measured, Output
from runbooks.steps.units import show
from runbooks.targets import HostTarget
from runbooks.visible import one_line

#: File systems that hold no data, or that are full by design (images).
PSEUDO = frozenset(
    (
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "cramfs",
        "debugfs",
        "devfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "erofs",
        "fuse.gvfsd-fuse",
        "fuse.lxcfs",
        "fuse.portal",
        "fuse.snapfuse",
        "fusectl",
        "hugetlbfs",
        "iso9660",
        "mqueue",
        "nsfs",
        "overlay",
        "proc",
        "pstore",
        "ramfs",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "squashfs",
        "sysfs",
        "tmpfs",
        "tracefs",
    )
)
#: What df says of a file system that is none of its user's business, rather than broken.
_FORBIDDEN = ("Permission denied", "Operation not permitted")


class HostCheck(Check[HostTarget]):
    """What the checks of a host share. Logging in over ssh is part of `timeout`."""

    needs = HostTarget

    timeout: Duration = Field(default=parse_duration("15s"), gt=timedelta(0), le=LONGEST_CHECK)

    async def _run(self, target: HostTarget, reach: Reach, argv: Sequence[str]) -> Completed:
        machine = await find_machine(target, reach)
        return await machine.run(argv, self.timeout)


class HostDisk(HostCheck):
    """How full the file systems are. A mount that is named and not there is critical."""

    kind = "host.disk"
    title = "Disk"
    outputs: ClassVar[Mapping[str, Output]] = {
        "used_percent": Output(title="used", unit="%"),
        "inodes_percent": Output(title="inodes used", unit="%"),
        "mount": Output(title="fullest mount", number=False),
        "free_bytes": Output(title="free there", unit="bytes"),
    }
    headline = "used_percent"

    mounts: tuple[str, ...] = Field(default=(), strict=False)

    async def measure(self, target: HostTarget, reach: Reach) -> Measured:
        # Named mounts may be of a kind, or a second mount of a device, that df leaves out by itself.
        answer = await self._run(target, reach, [*DF, "--all"] if self.mounts else DF)
        rows = read_df(answer.output)
        if not rows:
            raise StepError(
                f"df on {target.where()} gave no sizes; host.disk needs the df of GNU coreutils "
                f"(BusyBox and macOS have another): {answer.errors}"
            )
        by_path = {row.path: row for row in rows if row.used + row.free}
        mounts = [by_path[path] for path in by_path if self._counts(by_path[path], target)]
        findings = [
            (Status.CRITICAL, f"{one_line(path)}: not mounted, or it does not answer")
            for path in self.mounts
            if path not in by_path
        ]
        if answer.code and not self.mounts and not any(word in answer.errors for word in _FORBIDDEN):
            findings.append((Status.WARNING, answer.errors))
        if not mounts and not findings:
            raise StepError(f"{target.where()} has no file system to measure: all are ignored")
        by_inodes = max(mounts, key=lambda mount: mount.inodes_percent or 0, default=None)
        fullest = max(mounts, key=lambda mount: mount.used_percent, default=None)
        if fullest is None or by_inodes is None:
            return Measured(findings=tuple(findings))
        name = one_line(fullest.path)
        elsewhere = "" if by_inodes is fullest else f", most inodes on {one_line(by_inodes.path)}"
        return Measured(
            values={
                "used_percent": fullest.used_percent,
                "inodes_percent": by_inodes.inodes_percent,
                "mount": name,
                "free_bytes": fullest.free,
            },
            summary=f"{name}, {show(fullest.free, 'bytes')} free{elsewhere}",
            findings=tuple(findings),
            details=(*map(_mount_line, mounts), *([answer.errors] if answer.errors else [])),
        )

    def _counts(self, mount: Mount, target: HostTarget) -> bool:
        if self.mounts:
            return mount.path in self.mounts
        if any(fnmatchcase(mount.path, pattern) for pattern in target.ignore_mounts):
            return False
        return mount.path == "/" or mount.type not in PSEUDO  # a container's root is an overlay


def _mount_line(mount: Mount) -> str:
    inodes = "" if mount.inodes_percent is None else f", inodes {show(mount.inodes_percent, '%')}"
    return (
        f"{one_line(mount.path)} ({mount.type}): {show(mount.used_percent, '%')} used, "
        f"{show(mount.free, 'bytes')} free{inodes}"
    )


class HostMemory(HostCheck):
    """How much memory programs could still have, and whether they wait for it."""

    kind = "host.memory"
    title = "Memory"
    outputs: ClassVar[Mapping[str, Output]] = {
        "available_percent": Output(title="available", unit="%"),
        "available_bytes": Output(title="available", unit="bytes"),
        "swap_used_percent": Output(title="swap used", unit="%"),
        "pressure_percent": Output(title="waiting for memory", unit="%"),
    }
    headline = "available_percent"

    async def measure(self, target: HostTarget, reach: Reach) -> Measured:
        # cat goes on past a file that is not there: not every kernel tells the pressure.
        answer = await self._run(target, reach, ["cat", "/proc/meminfo", "/proc/pressure/memory"])
        sizes = read_meminfo(answer.output)
        available, swap = sizes["MemAvailable"], sizes.get("SwapTotal", 0)
        swap_used = 100 * (1 - sizes.get("SwapFree", 0) / swap) if swap else None
        pressure = read_pressure(answer.output)
        parts = [f"{show(available, 'bytes')} of {show(sizes['MemTotal'], 'bytes')}"]
        if swap_used:
            parts.append(f"swap {show(swap_used, '%')} used")
        if pressure:
            parts.append(f"pressure {show(pressure, '%')}")
        return Measured(
            values={
                "available_percent": 100 * available / sizes["MemTotal"],
                "available_bytes": available,
                "swap_used_percent": swap_used,
                "pressure_percent": pressure,
            },
            summary=", ".join(parts),
        )


class HostLoad(HostCheck):
    """How many processes want a core, for each core that there is."""

    kind = "host.load"
    title = "Load"
    outputs: ClassVar[Mapping[str, Output]] = {
        "per_core": Output(title="load per core, 5 min"),
        "load1": Output(title="load, 1 min"),
        "load5": Output(title="load, 5 min"),
        "load15": Output(title="load, 15 min"),
        "cores": Output(title="cores"),
        "cpu_pressure_percent": Output(title="waiting for a core", unit="%"),
        "uptime_s": Output(title="up", unit="s"),
    }
    headline = "per_core"

    async def measure(self, target: HostTarget, reach: Reach) -> Measured:
        files = ["/proc/loadavg", "/proc/uptime", "/sys/devices/system/cpu/online", "/proc/pressure/cpu"]
        answer = await self._run(target, reach, ["cat", *files])
        load = read_load(answer.output)
        return Measured(
            values={
                "per_core": load.load5 / load.cores,
                "load1": load.load1,
                "load5": load.load5,
                "load15": load.load15,
                "cores": load.cores,
                "cpu_pressure_percent": read_pressure(answer.output),
                "uptime_s": load.uptime,
            },
            summary=f"{load.load5:g} on {load.cores} cores, up {show(load.uptime, 's')}",
        )


class HostProcesses(HostCheck):
    """How many processes there are, and which use the most."""

    kind = "host.processes"
    title = "Processes"
    outputs: ClassVar[Mapping[str, Output]] = {
        "count": Output(title="processes"),
        "zombies": Output(title="zombies"),
        "top_cpu": Output(title="most CPU", number=False),
        "top_memory": Output(title="most memory", number=False),
    }
    headline = "count"

    top: int = Field(default=5, ge=1, le=50)

    async def measure(self, target: HostTarget, reach: Reach) -> Measured:
        answer = await self._run(target, reach, PS)
        if answer.code:
            raise StepError(
                f"ps on {target.where()} does not list every process with its share; host.processes needs "
                f"the ps of procps or macOS (BusyBox has another): {answer.errors}"
            )
        processes = read_ps(answer.output)
        if not processes:
            raise StepError(f"ps on {target.where()} lists no process: {answer.errors}")
        by_cpu = sorted(processes, key=lambda process: -process.cpu)[: self.top]
        by_memory = sorted(processes, key=lambda process: -process.memory)[: self.top]
        top_cpu, top_memory = _cpu(by_cpu[0]), _memory(by_memory[0])
        return Measured(
            values={
                "count": len(processes),
                "zombies": sum(process.zombie for process in processes),
                "top_cpu": top_cpu,
                "top_memory": top_memory,
            },
            summary=f"{top_cpu}, {top_memory}",
            details=(
                "by CPU over their lives:",
                *(f"{_cpu(process)} (pid {process.pid})" for process in by_cpu),
                "by memory:",
                *(f"{_memory(process)} (pid {process.pid})" for process in by_memory),
            ),
        )


def _cpu(process: Process) -> str:
    return f"{one_line(process.name)} {show(process.cpu, '%')}"


def _memory(process: Process) -> str:
    return f"{one_line(process.name)} {show(process.memory, 'bytes')}"
