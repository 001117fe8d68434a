"""Hosts over ssh, against a real sshd."""

import asyncio
import socket
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from runbooks.errors import StepError
from runbooks.steps import CHECKS
from runbooks.steps.machine import MOST_OUTPUT, find_machine
from runbooks.steps.reach import Connections, Reach
from runbooks.steps.step import Measured
from tests.steps.conftest import Sshd, wait_until_gone, write_key, write_known_host

pytestmark = [
    pytest.mark.debian("sshd"),
    pytest.mark.skipif(sys.platform != "linux", reason="the host that is logged in to reads /proc"),
]

SOON = timedelta(seconds=10)


async def test_a_command_runs_there_with_its_arguments_unread_by_a_shell(sshd: Sshd, reach: Reach) -> None:
    """Arguments with quotes, spaces and `$(...)` arrive as they were given."""
    machine = await find_machine(sshd.target(), reach)
    hostile = ["a b", "$(id)", "'; id; '", "`id`", "\n", "*"]

    answer = await machine.run(["printf", "%s|", *hostile], SOON)

    assert answer.output == "".join(f"{word}|" for word in hostile)


async def test_the_locale_there_is_c(sshd: Sshd, reach: Reach) -> None:
    """A command over ssh runs with LC_ALL=C, so that its words can be parsed."""
    machine = await find_machine(sshd.target(), reach)

    answer = await machine.run(["sh", "-c", "echo $LC_ALL; echo bad >&2; exit 3"], SOON)

    assert (answer.output, answer.errors, answer.code) == ("C\n", "bad", 3)


async def test_an_unknown_host_key_is_refused(sshd: Sshd, reach: Reach, tmp_path: Path) -> None:
    """A host whose key nobody has written down is not logged in to, and the text says what to do."""
    empty = tmp_path / "known_hosts"
    empty.touch()

    with pytest.raises(StepError, match=r"is not in .*known_hosts: add it there, once its fingerprint"):
        await find_machine(sshd.target(known_hosts=str(empty)), reach)


async def test_a_changed_host_key_is_refused_as_changed(sshd: Sshd, reach: Reach, tmp_path: Path) -> None:
    """A host that shows another key than the known one is told apart from an unknown host."""
    other = tmp_path / "known_hosts"
    write_known_host(other, sshd.port, write_key(tmp_path / "other"))

    with pytest.raises(StepError, match="another host key than the one in"):
        await find_machine(sshd.target(known_hosts=str(other)), reach)


async def test_no_known_hosts_file_means_no_login(sshd: Sshd, reach: Reach, tmp_path: Path) -> None:
    """A known_hosts file that is not there never means that every host is trusted."""
    with pytest.raises(StepError, match="no host is trusted at first sight"):
        await find_machine(sshd.target(known_hosts=str(tmp_path / "none")), reach)


async def test_a_key_that_is_not_authorized_is_refused(sshd: Sshd, reach: Reach, tmp_path: Path) -> None:
    """Another user key ends in a text that names authorized_keys; no password is tried."""
    write_key(tmp_path / "stranger")

    with pytest.raises(StepError, match="refused the key: put the public key into"):
        await find_machine(sshd.target(key_file=str(tmp_path / "stranger")), reach)


async def test_a_key_file_that_is_no_key_is_told(sshd: Sshd, reach: Reach, tmp_path: Path) -> None:
    """A key file that holds something else is named, and its content is not shown."""
    (tmp_path / "key").write_text("swordfish")

    with pytest.raises(StepError, match=r"the key .*key cannot be used") as caught:
        await find_machine(sshd.target(key_file=str(tmp_path / "key")), reach)

    assert "swordfish" not in str(caught.value)


async def test_a_missing_key_file_is_told(sshd: Sshd, reach: Reach, tmp_path: Path) -> None:
    """A key file that does not exist is named."""
    with pytest.raises(StepError, match=r"the key .*none cannot be read: No such file"):
        await find_machine(sshd.target(key_file=str(tmp_path / "none")), reach)


async def test_a_host_where_nobody_listens_cannot_be_reached(sshd: Sshd, reach: Reach) -> None:
    """A refused connection says that the host cannot be reached, and which."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

        with pytest.raises(StepError, match=rf"ssh://.*:{port} cannot be reached: .*refused"):
            await find_machine(sshd.target(port=port), reach)


async def test_a_host_that_says_nothing_costs_the_connect_timeout(sshd: Sshd, reach: Reach) -> None:
    """A port that accepts and stays silent ends after `connect_timeout`."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        with pytest.raises(StepError, match="did not answer within 200ms"):
            await find_machine(sshd.target(port=port, connect_timeout="200ms"), reach)


async def test_without_asyncssh_the_extra_is_named(
    sshd: Sshd, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without asyncssh the text says how to install it. (It is hidden from the import: it is installed.)"""
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    monkeypatch.delitem(sys.modules, "runbooks.steps.ssh", raising=False)

    with pytest.raises(StepError, match=r"pip install 'maintbot\[ssh\]'"):
        await find_machine(sshd.target(), reach)


async def test_every_step_of_a_report_shares_one_connection(sshd: Sshd, reach: Reach) -> None:
    """Twelve checks of one target at the same time log in once."""
    before = sshd.accepted()
    kinds = ["host.disk", "host.memory", "host.load", "host.processes"] * 3

    measured = await asyncio.gather(*(CHECKS[kind]().measure(sshd.target(), reach) for kind in kinds))

    assert len([row for row in measured if row.values]) == 12
    assert sshd.accepted() - before == 1


async def test_the_connection_ends_with_the_report(sshd: Sshd) -> None:
    """A machine cannot be used when its report is over."""
    async with Connections() as connections:
        machine = await find_machine(sshd.target(), Reach(targets={}, connections=connections))

    with pytest.raises(StepError, match="lost"):
        await machine.run(["true"], SOON)


async def test_a_connection_that_drops_is_told(sshd: Sshd, reach: Reach) -> None:
    """A connection lost in the middle ends whoever waits on it with that reason; the next step opens
    another, and logs in once more."""
    before = sshd.accepted()
    machine = await find_machine(sshd.target(), reach)
    step = asyncio.create_task(machine.run(["sleep", "30"], SOON))
    await asyncio.sleep(0.3)

    sshd.drop_connections()

    with pytest.raises(StepError, match="lost in the middle"):
        await step
    with pytest.raises(StepError, match="lost in the middle"):
        await machine.run(["true"], SOON)
    assert (await CHECKS["host.load"]().measure(sshd.target(), reach)).values
    assert sshd.accepted() - before == 2


async def test_a_connection_that_drops_under_a_file_is_told(sshd: Sshd, reach: Reach) -> None:
    """A connection lost while a log is read ends with that reason, not with a short log."""
    machine = await find_machine(sshd.target(), reach)

    async def read_while_it_drops() -> None:
        async with machine.files() as files, files.open(str(sshd.folder / "log")) as file:
            sshd.drop_connections()
            await file.read(0, 10)

    with pytest.raises(StepError, match="lost in the middle"):
        await read_while_it_drops()


async def test_a_hanging_command_ends_here_and_there(sshd: Sshd, reach: Reach, tmp_path: Path) -> None:
    """A command that does not end is given up after its timeout, and its remote process is killed."""
    machine = await find_machine(sshd.target(), reach)
    script = f"echo $$ > {tmp_path}/pid; exec sleep 60"

    with pytest.raises(StepError, match=r"`sh` on .* did not end within 2s"):
        await machine.run(["sh", "-c", script], timedelta(seconds=2))

    await wait_until_gone(int((tmp_path / "pid").read_text()))


async def test_a_cancelled_command_ends_there_too(sshd: Sshd, reach: Reach, tmp_path: Path) -> None:
    """Cancelling a step goes on at once; its remote process ends when its time is up, at the latest."""
    machine = await find_machine(sshd.target(), reach)
    script = f"echo $$ > {tmp_path}/pid; exec sleep 60"
    step = asyncio.create_task(machine.run(["sh", "-c", script], timedelta(seconds=1)))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():  # noqa: ASYNC110
        await asyncio.sleep(0.02)

    step.cancel()

    with pytest.raises(asyncio.CancelledError):
        await step
    await wait_until_gone(int((tmp_path / "pid").read_text()))


async def test_too_much_output_is_refused(sshd: Sshd, reach: Reach) -> None:
    """A command that says more than the limit ends in an error, not in a full memory."""
    machine = await find_machine(sshd.target(), reach)

    with pytest.raises(StepError, match="said more than 4 MiB"):
        await machine.run(["head", "-c", str(MOST_OUTPUT + 1), "/dev/zero"], SOON)


async def test_a_program_that_is_not_there_is_told(sshd: Sshd, reach: Reach) -> None:
    """A remote machine without the program is told as that, with the program's name."""
    machine = await find_machine(sshd.target(), reach)

    with pytest.raises(StepError, match="`no-such-program` cannot be run on ssh://"):
        await machine.run(["no-such-program"], SOON)


@pytest.mark.parametrize("kind", ["host.disk", "host.memory", "host.load", "host.processes"])
async def test_a_check_sees_the_same_machine_either_way(sshd: Sshd, reach: Reach, kind: str) -> None:
    """A check of this machine and the same check over ssh give the same outputs, all of them declared."""
    check = CHECKS[kind]()

    there: Measured = await check.measure(sshd.target(), reach)
    here: Measured = await check.measure(sshd.target().model_copy(update={"ssh": None}), reach)

    assert set(there.values) == set(here.values) == set(check.outputs)
