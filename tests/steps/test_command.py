"""`command` and `script`, with real processes on this machine and behind a real sshd."""

import asyncio
import os
import socket
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps import ACTIONS, local_process
from runbooks.steps.action import LONGEST_OUTPUT, Doubtful, Failed
from runbooks.steps.job import Job
from runbooks.steps.machine import find_machine
from runbooks.steps.reach import Reach
from runbooks.targets import HostTarget
from tests.steps.acting import HERE, act
from tests.steps.conftest import Sshd, wait_until_gone

SHELL = ["sh", "-c"]
over_ssh = [
    pytest.mark.debian("sshd"),
    pytest.mark.skipif(sys.platform != "linux", reason="the machine that is logged in to has procps"),
]


@pytest.fixture(params=["here", pytest.param("ssh", marks=over_ssh)])
def host(request: pytest.FixtureRequest) -> HostTarget:
    """A host: this machine, and one over ssh."""
    if request.param == "here":
        return HERE
    sshd: Sshd = request.getfixturevalue("sshd")
    return sshd.target()


async def written(path: Path) -> str:
    """What is in the file as soon as something is."""
    while not (text := _text(path)).endswith("\n"):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return text.strip()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def test_arguments_are_read_by_no_shell(host: HostTarget) -> None:
    """Arguments with quotes, spaces, line breaks and `$(...)` arrive as they were given."""
    hostile = ["a b", "$(id)", "'; id; '", "`id`", "\n", "*", "!x", "ü", "-rf", ""]

    done = await act("command", host, {"run": ["printf", "%s|", *hostile]})

    assert done.output == "".join(f"{word}|" for word in hostile)


async def test_numbers_become_arguments(host: HostTarget) -> None:
    """What a reference stands for may be a number or a boolean, and is written as in YAML."""
    done = await act("command", host, {"run": ["echo", 3, 1.5, True]})

    assert done.output == "3 1.5 true\n"


async def test_both_streams_are_kept_and_the_last_line_is_the_summary(host: HostTarget) -> None:
    """stdout and stderr are in the output, and the exit code is one."""
    done = await act("command", host, {"run": [*SHELL, "echo out; sleep 0.2; echo err >&2"]})

    assert (done.output, done.summary, done.values) == ("out\nerr\n", "err", {"exit_code": 0})


async def test_exit_codes_mean_what_the_step_says(host: HostTarget) -> None:
    """A code is success, a warning, or a failure with the last line of stderr and all the output."""
    fields = {"success": [0, 3], "warning": [4]}

    assert (await act("command", host, {"run": [*SHELL, "exit 3"], **fields})).warnings == ()
    (warning,) = (await act("command", host, {"run": [*SHELL, "exit 4"], **fields})).warnings
    with pytest.raises(Failed, match=r"ended with 5: no disk$") as caught:
        await act("command", host, {"run": [*SHELL, "echo no disk >&2; echo bye; exit 5"], **fields})

    assert warning == f"`sh` on {host.where()} ended with 4"
    assert sorted(caught.value.output.split("\n")) == ["", "bye", "no disk"]
    assert not isinstance(caught.value, Doubtful)


async def test_a_program_ended_by_a_signal_is_told(host: HostTarget) -> None:
    """A program that somebody else kills is a failure that says so."""
    with pytest.raises(Failed, match="was ended by signal 15"):
        await act("command", host, {"run": [*SHELL, "kill -TERM $$"]})


async def test_the_environment_is_small_and_has_the_run(
    host: HostTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program gets its own variables and the run's, and none of Maint's secrets."""
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")

    done = await act("command", host, {"run": ["env"], "environment": {"A": "x\ny 'z", "N": 3, "E": None}})

    lines = set(done.output.splitlines())
    assert {"MAINT_RUN=run1", "MAINT_KEY=run1:step:1", "MAINT_REQUESTER=Ada"} <= lines
    assert {"A=x", "y 'z", "N=3", "E=", "LANG=C.UTF-8"} <= lines
    assert {line.split("=")[0] for line in lines} >= {"PATH", "HOME"}
    assert "xoxb-secret" not in done.output


async def test_a_directory_and_standard_input_are_given(host: HostTarget, tmp_path: Path) -> None:
    """A program runs in `directory`, and reads `stdin` to its end."""
    folder = tmp_path / "a 'b"
    folder.mkdir()
    fields = {"run": [*SHELL, "pwd; cat"], "directory": str(folder), "stdin": "one\ntwo"}

    assert (await act("command", host, fields)).output == f"{folder}\none\ntwo"


async def test_a_directory_that_is_not_there_stops_it(host: HostTarget, tmp_path: Path) -> None:
    """A program whose directory does not exist does not run, and that is certain."""
    with pytest.raises(StepError, match=r"No such file|can't cd to") as caught:
        await act("command", host, {"run": ["touch", f"{tmp_path}/x"], "directory": f"{tmp_path}/none"})

    assert not isinstance(caught.value, Doubtful)
    assert not (tmp_path / "x").exists()


async def test_a_program_that_is_not_there_is_named(host: HostTarget) -> None:
    """A program that does not exist is named."""
    with pytest.raises(StepError, match="no-such-program"):
        await act("command", host, {"run": ["no-such-program"]})


async def test_outputs_are_taken_from_standard_output(host: HostTarget) -> None:
    """The last line of stdout that matches gives the value, a number where one is wanted."""
    fields = {
        "run": [*SHELL, "echo SIZE=1; echo SIZE=20; echo SIZE=3 >&2; echo path: /a b"],
        "outputs": {
            "size": {"pattern": "^SIZE=(.*)$", "number": True, "title": "size"},
            "path": {"pattern": "(?<=path: ).*"},
        },
    }

    done = await act("command", host, fields)

    assert done.values == {"exit_code": 0, "size": 20, "path": "/a b"}
    declared = ACTIONS["command"].model_validate({"target": "x", **fields}).declared()
    assert {name: (output.title, output.number) for name, output in declared.items()} == {
        "exit_code": ("exit code", True),
        "size": ("size", True),
        "path": ("path", False),
    }


@pytest.mark.parametrize(
    ("said", "trouble"),
    [("none", "no line of its output has outputs.size"), ("SIZE=x", "outputs.size is no number: 'x'")],
)
async def test_an_output_that_is_missing_fails_the_step(said: str, trouble: str) -> None:
    """A declared output that is not printed is a failure: the next step would go on without it."""
    fields = {"run": ["echo", said], "outputs": {"size": {"pattern": "^SIZE=(.*)$", "number": True}}}

    with pytest.raises(Failed, match=trouble) as caught:
        await act("command", HERE, fields)

    assert caught.value.output == f"{said}\n"


async def test_a_pattern_that_searches_forever_is_given_up() -> None:
    """A pattern with repeats inside repeats fails the step after a second, and blocks nothing."""
    fields = {"run": ["printf", "%s", "a" * 60 + "b"], "outputs": {"x": {"pattern": r"^(?:(?:a|a|aa)+)+$"}}}

    with pytest.raises(Failed, match="searched a line for 1 s without an end"):
        await act("command", HERE, fields)


async def test_a_huge_output_keeps_its_beginning_and_end(host: HostTarget) -> None:
    """Of 2 MB the beginning and the end are kept, and what was left out is counted."""
    script = "echo first; seq 1 300000; echo last"

    done = await act("command", host, {"run": [*SHELL, script]})

    assert len(done.output) <= LONGEST_OUTPUT
    assert done.output.startswith("first\n1\n2\n")
    assert done.output.endswith("\n300000\nlast\n")
    assert "bytes are left out here" in done.output


async def test_the_last_line_is_told_while_it_runs(host: HostTarget, tmp_path: Path) -> None:
    """Progress arrives while the program still runs; bars that overwrite themselves count as lines."""
    told: list[str] = []
    fields = {
        "run": [*SHELL, f"echo one; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; printf '50%%\\r99%%'"]
    }
    step = asyncio.create_task(act("command", host, fields, told.append))
    while "one" not in told:  # noqa: ASYNC110
        await asyncio.sleep(0.02)

    (tmp_path / "go").touch()
    done = await step

    assert (told[-1], done.output) == ("99%", "one\n99%")


async def test_show_output_false_shows_nothing(host: HostTarget) -> None:
    """With `show_output: false` nothing that is printed is told, kept or named; outputs are still taken."""
    told: list[str] = []
    fields = {"run": [*SHELL, "echo KEY=hush; echo hush >&2"], "show_output": False}
    fields["outputs"] = {"key": {"pattern": "^KEY=(.*)"}}

    done = await act("command", host, fields, told.append)
    with pytest.raises(Failed) as caught:
        await act("command", host, {**fields, "success": [1]}, told.append)

    assert (done.output, done.summary, done.values["key"]) == ("", "ended with 0", "hush")
    assert "hush" not in f"{told}{caught.value}{caught.value.output}"


async def test_what_a_program_leaves_in_the_background_does_not_hold_the_step(
    host: HostTarget, tmp_path: Path
) -> None:
    """A program that ends well may leave another one, which holds its output open: the step is over."""
    done = await act("command", host, {"run": [*SHELL, f"sleep 60 & echo $! > {tmp_path}/pid; echo up"]})

    assert done.output == "up\n"
    os.kill(int((tmp_path / "pid").read_text()), 9)


def stubborn(folder: Path) -> list[str]:
    """A program that does not end when it is asked, nor does the one that it starts."""
    child = f"trap '' TERM; echo $$ > {folder}/child; while :; do sleep 0.1; done"
    return [*SHELL, f'trap "" TERM; echo $$ > {folder}/pid; sh -c "$0" & while :; do sleep 0.1; done', child]


async def test_at_its_timeout_a_program_is_ended_with_what_it_started(
    host: HostTarget, tmp_path: Path
) -> None:
    """At its timeout a program is asked to end, and killed after its grace with its children; that is a
    plain failure, with what it had printed."""
    fields = {"run": stubborn(tmp_path), "timeout": "2s", "grace": "300ms"}

    with pytest.raises(Failed, match="did not end within 2s, and was killed") as caught:
        await act("command", host, fields)

    assert not isinstance(caught.value, Doubtful)
    for name in ("pid", "child"):
        await wait_until_gone(int((tmp_path / name).read_text()))


async def test_a_cancelled_program_is_gone_when_the_step_is(host: HostTarget, tmp_path: Path) -> None:
    """Who cancels a step gets the cancellation only when the program and its children are gone."""
    step = asyncio.create_task(act("command", host, {"run": stubborn(tmp_path), "grace": "300ms"}))
    pids = [int(await written(tmp_path / name)) for name in ("pid", "child")]

    step.cancel()
    await asyncio.sleep(0.1)
    step.cancel()  # more haste changes nothing

    with pytest.raises(asyncio.CancelledError):
        await step
    for pid in pids:
        await wait_until_gone(pid)


async def test_a_program_cancelled_while_it_is_started_is_gone_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Cancelled before Maint has the process in its hands, the program and its children are ended."""
    start = asyncio.create_subprocess_exec

    async def start_slowly(*argv: str, **options: Any) -> asyncio.subprocess.Process:
        process = await start(*argv, **options)
        await written(tmp_path / "child")
        step.cancel()
        await asyncio.sleep(0.1)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_slowly)
    step = asyncio.create_task(act("command", HERE, {"run": stubborn(tmp_path), "grace": "300ms"}))

    with pytest.raises(asyncio.CancelledError):
        await step
    for name in ("pid", "child"):
        await wait_until_gone(int((tmp_path / name).read_text()))


async def test_a_program_gets_its_grace_to_end_by_itself(host: HostTarget, tmp_path: Path) -> None:
    """A program that cleans up when it is asked to end is let finish."""
    script = f"trap 'sleep 0.3; echo tidy > {tmp_path}/done; exit 0' TERM; echo up > {tmp_path}/up; "
    script += "while :; do sleep 0.05; done"
    step = asyncio.create_task(act("command", host, {"run": [*SHELL, script], "grace": "8s"}))
    await written(tmp_path / "up")

    step.cancel()

    with pytest.raises(asyncio.CancelledError):
        await step
    assert await written(tmp_path / "done") == "tidy"


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
async def test_a_program_that_cannot_be_seen_to_end_is_in_doubt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """When a killed program is still there, nobody knows how it stands. (Its signals are taken away: a
    process that became another user's cannot be had without root.)"""
    monkeypatch.setattr(local_process, "_DYING", timedelta(milliseconds=100))
    monkeypatch.setattr(local_process._LocalProcess, "_signal", lambda *_: None)
    fields = {"run": [*SHELL, f"echo $$ > {tmp_path}/pid; exec sleep 60"], "timeout": "1s", "grace": "100ms"}

    with pytest.raises(Doubtful, match="cannot be seen that it is gone"):
        await act("command", HERE, fields)

    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, 9)
    while Path(f"/proc/{pid}").exists():  # noqa: ASYNC110, ASYNC240 - until the loop has reaped it
        await asyncio.sleep(0.02)


@pytest.mark.debian("sshd")
async def test_a_connection_lost_while_a_program_runs_is_in_doubt(sshd: Sshd, tmp_path: Path) -> None:
    """A connection that drops in the middle leaves a doubt: the program may go on over there."""
    script = f"echo $$ > {tmp_path}/pid; echo begun; exec sleep 60"
    step = asyncio.create_task(act("command", sshd.target(), {"run": [*SHELL, script]}))
    pid = int(await written(tmp_path / "pid"))

    sshd.drop_connections()

    with pytest.raises(Doubtful, match="was lost while `sh` ran: it may have done its work") as caught:
        await step
    assert caught.value.output == "begun\n"
    os.kill(pid, 9)


@pytest.mark.debian("sshd")
async def test_a_program_that_nobody_hears_of_any_more_ends_over_there(
    sshd: Sshd, reach: Reach, tmp_path: Path
) -> None:
    """A program whose connection was lost is ended by the other machine when its time is over."""
    machine = await find_machine(sshd.target(), reach)
    run = (*SHELL, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    soon = timedelta(seconds=1)
    async with machine.begin(Job(argv=run, grace=soon, longest=soon)) as process:
        await process.start()
        pid = int(await written(tmp_path / "pid"))
        sshd.drop_connections()

        assert await process.wait() is None
        assert not await process.end(soon)

    await wait_until_gone(pid)


@pytest.mark.debian("sshd")
async def test_a_program_does_not_start_when_the_connection_is_lost_before(
    sshd: Sshd, reach: Reach, tmp_path: Path
) -> None:
    """What was prepared and not started never runs, since its orders did not arrive."""
    machine = await find_machine(sshd.target(), reach)
    soon = timedelta(seconds=1)
    async with machine.begin(Job(argv=("touch", f"{tmp_path}/x"), grace=soon, longest=soon)) as process:
        sshd.drop_connections()

        with pytest.raises(Doubtful, match="was lost when `touch` was to start"):
            await process.start()

    await asyncio.sleep(0.3)
    assert not (tmp_path / "x").exists()


async def test_a_login_that_takes_the_whole_time_is_no_doubt() -> None:
    """A host that says nothing costs the step its time, and nothing was done."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ssh = {"host": "127.0.0.1", "port": silent.getsockname()[1], "known_hosts": "/dev/null"}
        target = HostTarget.model_validate({"name": "web", "type": "host", "ssh": ssh})

        with pytest.raises(StepError, match="was not started within 500ms: nothing was done") as caught:
            await act("command", target, {"run": ["true"], "timeout": "500ms"})

    assert not isinstance(caught.value, Doubtful)


@pytest.mark.debian("sshd")
async def test_a_login_that_fails_is_no_doubt(sshd: Sshd, tmp_path: Path) -> None:
    """A host that cannot be logged in to has done nothing, and that is certain."""
    target = sshd.target(known_hosts=str(tmp_path / "none"))

    with pytest.raises(StepError, match="no host is trusted at first sight") as caught:
        await act("command", target, {"run": ["true"]})

    assert not isinstance(caught.value, Doubtful)


@pytest.mark.debian("sshd")
async def test_no_argument_list_over_there_shows_the_environment_or_the_script(
    sshd: Sshd, tmp_path: Path
) -> None:
    """`ps` on the other machine shows no value of the environment and nothing of the script."""
    script = 'echo up; ps -e -o args=; echo "it has $HIDDEN"; true swordfish-1'
    fields = {"run": script, "environment": {"HIDDEN": "swordfish-2"}}

    done = await act("script", sshd.target(), fields)

    assert done.output.count("swordfish") == 1
    assert "it has swordfish-2" in done.output


async def test_a_script_gets_its_parameters_from_the_environment(host: HostTarget) -> None:
    """A value full of shell stays a value."""
    fields = {"run": 'echo "got $NAME"\n', "environment": {"NAME": "$(id); 'x' \"y\""}}

    assert (await act("script", host, fields)).output == "got $(id); 'x' \"y\"\n"


async def test_a_script_stops_at_its_first_failure(host: HostTarget) -> None:
    """The default shell has `-eu`: a failed command and a variable that is not set end the script."""
    for text in ("false\necho no", 'echo "$UNSET"\necho no'):
        with pytest.raises(Failed) as caught:
            await act("script", host, {"run": text})
        assert "no\n" not in caught.value.output


async def test_what_a_script_calls_does_not_eat_the_script(host: HostTarget) -> None:
    """A program in the script that reads its standard input leaves the rest of the script alone."""
    assert (await act("script", host, {"run": "cat\necho after", "stdin": "in\n"})).output == "in\nafter\n"


async def test_another_shell_reads_the_script(host: HostTarget) -> None:
    """Any program that takes a file can be the shell, and the file is gone when it has begun."""
    text = "import os, sys\nprint(len(sys.argv), os.stat(sys.argv[0]).st_nlink)"

    assert (await act("script", host, {"run": text, "shell": [sys.executable]})).output == "1 0\n"


@pytest.mark.parametrize("reference", ["{{ params.name }}", "{{steps.a.b}}", "{{ item }}", "{{ run.id }}"])
def test_a_script_with_a_reference_is_refused(reference: str) -> None:
    """A reference in a script is refused with the reason and the way to write it."""
    with pytest.raises(ValidationError, match="the shell would read its value as commands"):
        ACTIONS["script"].model_validate({"target": "a", "run": f"echo {reference}"})


def test_a_script_may_hold_braces_that_are_no_reference() -> None:
    """Templates of other tools are no references."""
    ACTIONS["script"].model_validate({"target": "a", "run": "docker ps --format '{{.Names}}'"})


@pytest.mark.parametrize(
    ("fields", "trouble"),
    [
        ({"run": []}, "at least 1 item"),
        ({"run": ["systemctl restart app"]}, "each word is an item of its own"),
        ({"run": ["-x"]}, "names the program"),
        ({"run": ["a\0b"]}, "NUL"),
        ({"run": ["true"], "environment": {"A-B": "x"}}, "pattern"),
        ({"run": ["true"], "environment": {"MAINT_RUN": "x"}}, "are set by Maint"),
        ({"run": ["true"], "outputs": {"x": {"pattern": "("}}}, "no regular expression"),
        ({"run": ["true"], "outputs": {"x": {"pattern": "(a)(b)"}}}, "more than one group"),
        ({"run": ["true"], "outputs": {"exit_code": {"pattern": "a"}}}, "another name"),
        ({"run": ["true"], "success": [256]}, "less than or equal to 255"),
    ],
)
def test_a_command_that_cannot_run_is_refused(fields: dict[str, Any], trouble: str) -> None:
    """What can be seen to be wrong is refused when the file is read."""
    with pytest.raises(ValidationError, match=trouble):
        ACTIONS["command"].model_validate({"target": "a", **fields})


def test_a_plan_shows_the_command_and_no_value() -> None:
    """A plan has the exact command and the names of variables; neither their values nor the input."""
    fields = {"run": ["rm", "--", "a b", "x\ny"], "environment": {"KEY": "hush"}, "stdin": "hush"}
    action = ACTIONS["command"].model_validate(
        {"target": "here", **fields, "directory": "/srv", "warning": [1]}
    )

    assert action.lines(HERE) == (
        "here (this machine): rm -- 'a b' 'x\\ny'",
        "in /srv",
        "with KEY in its environment",
        "with 4 characters on its standard input",
        "exit code 0 is success, 1 a warning",
        "ended after 10m",
    )


def test_a_plan_shows_the_whole_script() -> None:
    """A plan has every line of the script."""
    action = ACTIONS["script"].model_validate({"target": "here", "run": "cd /\nls -l\n"})

    assert action.lines(HERE)[:3] == ("here (this machine): /bin/sh -eu reads:", "  cd /", "  ls -l")
