"""Commands and files on this machine."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from runbooks.errors import StepError
from runbooks.steps.machine import MOST_OUTPUT, ThisMachine
from tests.steps.conftest import wait_until_gone

SOON = timedelta(seconds=10)


async def test_a_command_gives_what_it_said_and_its_code() -> None:
    """Output, error text in one line, and exit code come back."""
    answer = await ThisMachine().run(["sh", "-c", "echo out; echo a >&2; echo b >&2; exit 3"], SOON)

    assert (answer.output, answer.errors, answer.code) == ("out\n", "a; b", 3)


async def test_a_command_does_not_get_maints_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a command is the path and the locale, without Maint's tokens."""
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")

    answer = await ThisMachine().run(["env"], SOON)

    assert sorted(line.split("=")[0] for line in answer.output.split()) == ["LC_ALL", "PATH"]


async def test_what_is_no_utf8_is_marked() -> None:
    """Bytes that are no UTF-8 do not stop anything."""
    answer = await ThisMachine().run(["printf", r"a\377b"], SOON)

    assert answer.output == "a\ufffdb"


async def test_a_missing_program_is_named() -> None:
    """A program that is not there is an error with its name."""
    with pytest.raises(StepError, match="`no-such-program` cannot be run on this machine: No such file"):
        await ThisMachine().run(["no-such-program"], SOON)


async def test_a_hanging_command_is_killed_with_what_it_started(tmp_path: Path) -> None:
    """After its timeout a program dies, and so does the child that holds its output open."""
    script = f"sleep 60 & echo $! > {tmp_path}/pid; wait"

    with pytest.raises(StepError, match="`sh` on this machine did not end within 300ms, and was killed"):
        await ThisMachine().run(["sh", "-c", script], timedelta(milliseconds=300))

    await wait_until_gone(int((tmp_path / "pid").read_text()))


async def test_a_cancelled_command_is_killed(tmp_path: Path) -> None:
    """Cancelling kills the program, and the cancellation goes on."""
    run = ThisMachine().run(["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"], SOON)
    step = asyncio.create_task(run)
    await asyncio.sleep(0.3)

    step.cancel()

    with pytest.raises(asyncio.CancelledError):
        await step
    await wait_until_gone(int((tmp_path / "pid").read_text()))


async def test_too_much_output_is_refused() -> None:
    """A program that says more than the limit ends in an error, not in a full memory."""
    with pytest.raises(StepError, match="said more than 4 MiB"):
        await ThisMachine().run(["head", "-c", str(MOST_OUTPUT + 1), "/dev/zero"], SOON)


async def test_a_file_is_read_where_asked(tmp_path: Path) -> None:
    """A read gives the bytes at an offset, fewer at the end."""
    (tmp_path / "log").write_bytes(b"0123456789")

    async with ThisMachine().files() as files, files.open(str(tmp_path / "log")) as file:
        assert [await file.read(3, 4), await file.read(8, 4), await file.read(20, 4)] == [b"3456", b"89", b""]


async def test_an_open_file_stays_the_same_when_it_is_renamed(tmp_path: Path) -> None:
    """A rotation between opening and reading does not change what is read."""
    (tmp_path / "log").write_bytes(b"old")

    async with ThisMachine().files() as files, files.open(str(tmp_path / "log")) as file:
        (tmp_path / "log").rename(tmp_path / "log.1")
        (tmp_path / "log").write_bytes(b"new")

        assert await file.read(0, 3) == b"old"


async def test_a_folder_lists_files_as_they_are(tmp_path: Path) -> None:
    """Files, folders and links are told apart; a link is not followed."""
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "file")

    async with ThisMachine().files() as files:
        states = await files.folder(str(tmp_path))

    assert {Path(state.path).name: state.regular for state in states} == {
        "file": True,
        "folder": False,
        "link": False,
    }


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is an error with its path."""
    async with ThisMachine().files() as files:
        with pytest.raises(StepError, match=r"/none does not exist on this machine"):
            await files.state(str(tmp_path / "none"))
