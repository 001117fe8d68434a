"""What df, ps, systemctl and the files of /proc say. What cannot be read raises StepError, nothing else."""

import re
from dataclasses import dataclass

from runbooks.errors import StepError
from runbooks.visible import one_line


def _strange(program: str, line: str) -> StepError:
    return StepError(f"{program} said something that is not understood: {one_line(line, 80)}")


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A mounted file system; sizes in bytes, `free` is what users may still write."""

    path: str
    type: str
    used: int
    free: int
    inodes: int
    inodes_used: int

    @property
    def used_percent(self) -> float:
        """As df has it: of what users may write, the reserve of root left out."""
        return 100 * self.used / (self.used + self.free) if self.used + self.free else 0.0

    @property
    def inodes_percent(self) -> float | None:
        """None where the file system has no fixed number of inodes (btrfs, vfat)."""
        return 100 * self.inodes_used / self.inodes if self.inodes else None


#: The target is last: it may hold spaces.
DF = ("df", "--output=fstype,used,avail,itotal,iused,target", "--block-size=1")


def read_df(text: str) -> list[Mount]:
    """The rows of `DF`. A number that df does not know ("-") is 0."""
    mounts = []
    for line in text.split("\n")[1:]:
        if not line.strip():
            continue
        words = line.split(maxsplit=5)
        try:
            numbers = [0 if word == "-" else max(int(word), 0) for word in words[1:5]]
            mount = Mount(
                type=words[0],
                used=numbers[0],
                free=numbers[1],
                inodes=numbers[2],
                inodes_used=numbers[3],
                path=words[5].rstrip(),
            )
        except (ValueError, IndexError) as error:
            raise _strange("df", line) from error
        mounts.append(mount)
    return mounts


_MEMINFO = re.compile(r"^(\w+):\s+(\d{1,15}) kB$", re.MULTILINE | re.ASCII)
_PRESSURE = re.compile(r"^some .*?\bavg60=(\d{1,3}\.\d+)", re.MULTILINE | re.ASCII)
_LOAD = re.compile(r"^(\d+\.\d+) (\d+\.\d+) (\d+\.\d+) \d+/\d+ \d+$", re.MULTILINE | re.ASCII)
_UPTIME = re.compile(r"^(\d+\.\d+) \d+\.\d+$", re.MULTILINE | re.ASCII)
_CORES = re.compile(r"^\d{1,6}(?:-\d{1,6})?(?:,\d{1,6}(?:-\d{1,6})?)*$", re.MULTILINE | re.ASCII)


def read_meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo, in bytes. Raises StepError when it lacks a total or what is available."""
    sizes = {name: int(size) * 1024 for name, size in _MEMINFO.findall(text)}
    if not sizes.get("MemTotal") or "MemAvailable" not in sizes:
        raise StepError("/proc/meminfo has no MemTotal or no MemAvailable: host.memory measures Linux only")
    return sizes


def read_pressure(text: str) -> float | None:
    """`some avg60` of a file in /proc/pressure, in percent; None when the kernel does not tell.

    The share of the last minute in which some process waited (kernel.org, accounting/psi.rst).
    """
    found = _PRESSURE.search(text)
    return float(found[1]) if found else None


@dataclass(frozen=True, kw_only=True)
class Load:
    """Load averages over 1, 5 and 15 minutes, how many cores are on, and seconds since the start."""

    load1: float
    load5: float
    load15: float
    cores: int
    uptime: float


def read_load(text: str) -> Load:
    """/proc/loadavg, /proc/uptime and /sys/devices/system/cpu/online, one after the other."""
    load, uptime, cores = _LOAD.search(text), _UPTIME.search(text), _CORES.search(text)
    if not load or not uptime or not cores:
        raise StepError("/proc or /sys does not tell the load: host.load measures Linux only")
    count = 0
    for part in cores[0].split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    if count < 1:
        raise _strange("/sys/devices/system/cpu/online", cores[0])
    return Load(
        load1=float(load[1]),
        load5=float(load[2]),
        load15=float(load[3]),
        cores=count,
        uptime=float(uptime[1]),
    )


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process: its share of one core over its whole life in percent, resident memory in bytes."""

    pid: int
    zombie: bool
    cpu: float
    memory: int
    name: str


#: Names only: the arguments of a process may hold passwords.
PS = ("ps", "-e", "-o", "pid=,stat=,pcpu=,rss=,comm=")


def read_ps(text: str) -> list[Process]:
    """The rows of `PS`."""
    processes = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        words = line.split(maxsplit=4)
        try:
            processes.append(
                Process(
                    pid=int(words[0]),
                    zombie=words[1].startswith("Z"),
                    cpu=float(words[2]),
                    memory=int(words[3]) * 1024,
                    name=words[4].rstrip() if len(words) > 4 else "?",
                )
            )
        except (ValueError, IndexError) as error:
            raise _strange("ps", line) from error
    return processes


UNIT_PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "ActiveEnterTimestamp",
    "ExecMainStatus",
)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A systemd unit; the words are systemd's own. `since` is when it last became active, or empty."""

    name: str
    load: str
    active: str
    sub: str
    result: str
    restarts: int
    since: str
    exit_status: str


def read_units(text: str, names: tuple[str, ...]) -> list[Unit]:
    """The blocks of `systemctl show NAMES --property=UNIT_PROPERTIES`, in the order of the names."""
    blocks = [block for block in text.split("\n\n") if block.strip()]
    if len(blocks) != len(names):
        raise StepError(f"systemctl was asked about {len(names)} units and told of {len(blocks)}")
    units = []
    for name, block in zip(names, blocks, strict=True):
        properties = dict(line.partition("=")[::2] for line in block.split("\n"))
        restarts = properties.get("NRestarts", "") or "0"
        if not properties.get("LoadState") or not properties.get("ActiveState") or not _is_count(restarts):
            raise _strange("systemctl", block)
        units.append(
            Unit(
                name=name,
                load=properties["LoadState"],
                active=properties["ActiveState"],
                sub=properties.get("SubState", ""),
                result=properties.get("Result", ""),
                restarts=int(restarts),
                since=properties.get("ActiveEnterTimestamp", ""),
                exit_status=properties.get("ExecMainStatus", ""),
            )
        )
    return units


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 16
