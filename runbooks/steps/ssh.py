"""Another machine, over ssh: known hosts enforced, keys only, every step on one connection.

Needs asyncssh (the extra `ssh`), so it is imported when it is used.
"""

import asyncio
import math
import os
import shlex
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path, PurePosixPath

import asyncssh

from runbooks.errors import StepError
from runbooks.spec.model import show_duration
from runbooks.steps.job import Job, Process
from runbooks.steps.machine import (
    Completed,
    Files,
    FileState,
    OpenFile,
    completed,
    forbidden,
    missing,
    read_all,
    too_slow,
)
from runbooks.steps.ssh_forward import Beyond, Forwarding
from runbooks.steps.ssh_process import begin_there
from runbooks.targets import Ssh
from runbooks.visible import one_line

#: sshd allows 10 sessions on one connection (MaxSessions in sshd_config(5)); some room is left.
SESSIONS = 8
#: Seconds of silence after which the other end is asked whether it is there; it is lost after three.
KEEPALIVE = 15


@asynccontextmanager
async def open_ssh(settings: Ssh, where: str) -> AsyncIterator["SshMachine"]:
    """The machine, logged in to. Raises StepError when it cannot be, and says what to do."""
    known_hosts, keys = await asyncio.to_thread(_read_files, settings)
    try:
        connection = await asyncssh.connect(
            settings.host,
            settings.port,
            username=settings.user or (),
            client_keys=keys,
            known_hosts=known_hosts,
            preferred_auth="publickey",
            connect_timeout=settings.connect_timeout.total_seconds(),
            config=None,
            keepalive_interval=KEEPALIVE,
        )
    except asyncssh.HostKeyNotVerifiable as error:
        raise StepError(_unverified(settings, where, known_hosts)) from error
    except asyncssh.PermissionDenied as error:
        raise StepError(
            f"{where} refused the key: put the public key into ~/.ssh/authorized_keys of that user there, "
            "or name another `user:` or `key_file:`"
        ) from error
    except asyncssh.Error as error:
        raise StepError(f"ssh with {where} failed: {one_line(error.reason)}") from error
    except TimeoutError as error:
        within = show_duration(settings.connect_timeout)
        raise StepError(f"{where} did not answer within {within}: is it up, and reachable?") from error
    except OSError as error:
        raise StepError(f"{where} cannot be reached: {_reason(error)}") from error
    async with connection:
        yield SshMachine(connection, where)


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or not error.errno:  # a name's own errors have their own numbers
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _read_files(settings: Ssh) -> tuple[asyncssh.SSHKnownHosts, list[asyncssh.SSHKey] | tuple[()]]:
    known_hosts = Path(settings.known_hosts).expanduser()
    try:
        known = asyncssh.read_known_hosts(str(known_hosts))
    except OSError as error:
        raise StepError(
            f"{known_hosts}, the known hosts for {settings.host}, cannot be read: {error.strerror}. "
            "It must hold the host's key: no host is trusted at first sight"
        ) from error
    except ValueError as error:
        raise StepError(f"{known_hosts} is no known_hosts file: {one_line(str(error))}") from error
    if settings.key_file is None:
        return known, ()  # the keys of the agent, and those in ~/.ssh
    key_file = Path(settings.key_file).expanduser()
    try:
        return known, [asyncssh.read_private_key(str(key_file))]
    except OSError as error:
        raise StepError(f"the key {key_file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StepError(
            f"the key {key_file} cannot be used: {one_line(str(error))}. "
            "A key with a passphrase belongs into an ssh agent: leave `key_file:` out then"
        ) from error


def _unverified(settings: Ssh, where: str, known_hosts: asyncssh.SSHKnownHosts) -> str:
    if any(known_hosts.match(settings.host, "", settings.port)):
        return (
            f"{where} shows another host key than the one in {settings.known_hosts}: it was installed anew, "
            "or somebody is in between. Ask who looks after it before you replace the key"
        )
    return (
        f"the host key of {where} is not in {settings.known_hosts}: add it there, once its fingerprint was "
        "compared with `ssh-keygen -lf` on the machine itself (ssh-keyscan alone proves nothing)"
    )


class SshMachine:
    """A machine at the other end of an ssh connection."""

    def __init__(self, connection: asyncssh.SSHClientConnection, where: str) -> None:
        self.where = where
        self._connection = connection
        self._sessions = asyncio.Semaphore(SESSIONS)

    async def run(self, argv: Sequence[str], timeout: timedelta) -> Completed:
        # A signal over ssh does not arrive everywhere (sshd passes none to root): timeout(1) ends it there.
        seconds = str(math.ceil(timeout.total_seconds()))
        command = shlex.join(["env", "LC_ALL=C", "timeout", "-s", "KILL", seconds, *argv])
        try:
            async with (
                asyncio.timeout(timeout.total_seconds()),
                self._session(),
                self._process(command) as process,
            ):
                output, errors = await asyncio.gather(read_all(process.stdout), read_all(process.stderr))
                await process.wait_closed()
        except TimeoutError as error:
            raise too_slow(argv, self.where, timeout) from error
        if process.returncode is None:
            raise self._lost()
        return completed(argv, self.where, process.returncode, output, errors)

    @asynccontextmanager
    async def _process(self, command: str) -> AsyncIterator[asyncssh.SSHClientProcess[bytes]]:
        process = await self._connection.create_process(command, stdin=asyncssh.DEVNULL, encoding=None)
        try:
            yield process
        finally:
            if process.exit_status is None:
                with suppress(OSError):  # the channel is closed already
                    process.kill()
                process.close()

    @asynccontextmanager
    async def begin(self, job: Job) -> AsyncIterator[Process]:
        async with self._session(), begin_there(self._connection, job, self.where) as process:
            yield process

    @asynccontextmanager
    async def files(self) -> AsyncIterator[Files]:
        async with self._session(), self._connection.start_sftp_client() as client:
            yield _SshFiles(client, self.where)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[None]:
        async with self._sessions:
            try:
                yield
            except asyncssh.ChannelOpenError as error:
                if self._connection.is_closed():
                    raise self._lost() from error
                raise StepError(f"{self.where} opens no session: {one_line(error.reason)}") from error
            except (asyncssh.DisconnectError, asyncssh.SFTPConnectionLost, OSError) as error:
                # OSError: what ended the connection below ssh, a reset or a host that went away.
                raise self._lost() from error

    def forward(self, to: Beyond) -> Forwarding:
        """What passes connections on to a server that this machine sees."""
        return Forwarding(self._connection, to)

    def lost(self) -> StepError | None:
        return self._lost() if self._connection.is_closed() else None

    def _lost(self) -> StepError:
        return StepError(f"the ssh connection with {self.where} was lost in the middle")


class _SshFile:
    def __init__(self, file: asyncssh.SFTPClientFile, files: "_SshFiles", path: str) -> None:
        self._file = file
        self._files = files
        self._path = path

    async def read(self, offset: int, length: int) -> bytes:
        with self._files.told(self._path):
            data = await self._file.read(length, offset)
        assert isinstance(data, bytes)  # opened without an encoding
        return data


class _SshFiles:
    def __init__(self, client: asyncssh.SFTPClient, where: str) -> None:
        self._client = client
        self._where = where

    async def state(self, path: str) -> FileState:
        with self.told(path):
            return _state(path, await self._client.stat(path))

    async def folder(self, path: str) -> list[FileState]:
        with self.told(path):
            return [
                _state(str(PurePosixPath(path, str(entry.filename))), entry.attrs)
                async for entry in self._client.scandir(path)
            ]

    @asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[OpenFile]:
        with self.told(path):
            file = await self._client.open(path, "rb", encoding=None)
        async with file:
            yield _SshFile(file, self, path)

    @contextmanager
    def told(self, path: str) -> Iterator[None]:
        """Turns SFTP's errors about that file into StepError."""
        try:
            yield
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as error:
            raise missing(path, self._where) from error
        except asyncssh.SFTPPermissionDenied as error:
            raise forbidden(path, self._where, "the user who logs in") from error
        except asyncssh.SFTPConnectionLost:
            raise
        except asyncssh.SFTPError as error:
            raise StepError(f"{path} on {self._where} cannot be read: {one_line(error.reason)}") from error


def _state(path: str, attributes: asyncssh.SFTPAttrs) -> FileState:
    return FileState(
        path=path,
        size=attributes.size or 0,
        modified=float(attributes.mtime or 0),
        regular=stat.S_ISREG(attributes.permissions or 0),
    )
