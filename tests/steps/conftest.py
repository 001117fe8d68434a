"""A real sshd on loopback, programs and logs to measure, and what a step is handed when it does."""

import asyncio
import getpass
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh
import pytest

from runbooks.steps.logs import LogErrors
from runbooks.steps.reach import Connections, Reach
from runbooks.steps.step import Measured
from runbooks.targets import HostTarget, LogsTarget, Ssh
from tests.conftest import find_program
from tests.steps.app_log import NOW, Count, line, write

_CONFIG = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
LogLevel VERBOSE
"""


@dataclass(frozen=True)
class Sshd:
    """A running sshd that lets the current user in with `folder/user_key`."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def settings(self, **changes: object) -> Ssh:
        """How to log in there."""
        known = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "key_file": str(self.folder / "user_key"),
            "known_hosts": str(self.folder / "known_hosts"),
        }
        return Ssh.model_validate({**known, **changes})

    def target(self, **changes: object) -> HostTarget:
        """The host target of it."""
        return HostTarget(name="remote", type="host", ssh=self.settings(**changes))

    def accepted(self) -> int:
        """How many connections it has let in so far."""
        return (self.folder / "log").read_text().count("Accepted publickey")

    def drop_connections(self) -> None:
        """Ends every connection at its end, without a word."""
        listing = ["ps", "-o", "pid=", "--ppid", str(self.process.pid)]
        for pid in subprocess.run(listing, capture_output=True, check=False).stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), 9)


def write_key(path: Path) -> asyncssh.SSHKey:
    """A new private key in that file."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    return key


def write_known_host(path: Path, port: int, key: asyncssh.SSHKey) -> None:
    """A known_hosts file that holds this one key."""
    path.write_bytes(f"[127.0.0.1]:{port} ".encode() + key.export_public_key())


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A real sshd with its own host key. Its tests are marked `debian("sshd")`."""
    with run_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@contextmanager
def run_sshd(folder: Path, *settings: str) -> Iterator[Sshd]:
    """One with its files in that folder, and with those lines of sshd_config."""
    program = find_program("sshd")
    assert program is not None
    if os.getuid() == 0:  # sshd wants it, and only the service's start script makes it
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    write_known_host(folder / "known_hosts", port, write_key(folder / "host_key"))
    (folder / "authorized_keys").write_bytes(write_key(folder / "user_key").export_public_key())
    (folder / "config").write_text(_CONFIG.format(port=port, folder=folder) + "\n".join(settings) + "\n")
    arguments = [program, "-D", "-e", "-f", str(folder / "config")]
    with (folder / "log").open("wb") as log, subprocess.Popen(arguments, stderr=log) as process:
        server = Sshd(folder, port, process)
        try:
            _wait_for(server)
            yield server
        finally:
            server.drop_connections()
            process.terminate()


def _wait_for(server: Sshd) -> None:
    deadline = time.monotonic() + 10
    while "Server listening" not in (server.folder / "log").read_text():
        if server.process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"sshd did not start: {(server.folder / 'log').read_text()}")
        time.sleep(0.02)


class Programs:
    """Programs that stand in for this machine's, found before them: what they say, no machine would."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, script: str) -> None:
        """A shell script under that name."""
        file = self._folder / name
        path = os.environ["PATH"].removeprefix(f"{self._folder}:")
        file.write_text(f"#!/bin/sh\nPATH={path}\n{script}\n")
        file.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A folder for programs at the head of the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return Programs(folder)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files of this test alone; its path is short enough for sockets.

    `tmp_path` is there first: pytest makes its own in the folder that everybody has.
    """
    with tempfile.TemporaryDirectory(prefix="via", dir="/tmp") as name, monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", name)
        yield Path(name)


@pytest.fixture
async def reach() -> AsyncIterator[Reach]:
    """What a step of a report is handed; no other targets."""
    async with Connections() as connections:
        yield Reach(targets={}, connections=connections)


async def wait_until_gone(pid: int) -> None:
    """Fails when the process still runs after three seconds. One that init has not reaped yet is gone."""
    for _ in range(150):
        listing = await asyncio.create_subprocess_exec(
            "ps", "-o", "stat=", "-p", str(pid), stdout=asyncio.subprocess.PIPE
        )
        state, _ = await listing.communicate()
        if not state or state.startswith(b"Z"):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"process {pid} is still there")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "app.log"


@pytest.fixture
def count(reach: Reach, log: Path) -> Count:
    """Measures that log at NOW."""

    async def measure(
        window: str = "1h", warning: Mapping[str, object] | None = None, **target: object
    ) -> Measured:
        settings = {"type": "logs", "name": "app", "path": str(log), "format": "python", **target}
        check = LogErrors.model_validate({"window": window, "warning": warning or {}})
        return await check.measure(LogsTarget.model_validate(settings), replace(reach, now=lambda: NOW))

    return measure


@pytest.fixture
def big_log(log: Path) -> Path:
    """100,000 errors over 10 hours, 9 MB."""
    texts = (line(600 - n * 0.006, "ERROR app: " + "x" * 50) for n in range(100_000))
    write(log, *texts)
    return log
