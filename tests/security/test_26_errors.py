"""26: of a fault of ours people read a reference, and nothing else. Also kept by
tests/commands/test_dispatch.py, tests/scenario/test_delivery.py, tests/records/test_trouble.py and
tests/scenario/test_http_edge.py."""

from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError

from commands.command import Command, Progress, Request, Services
from commands.needs import Needs
from commands.reply import Reply
from tests.commands.world import World, in_slack, read

SAID = "SELECT password FROM users -- 10.0.0.7 /srv/maint/maint.yaml p4ssw0rd"
HOSTILE: tuple[Exception, ...] = (
    RuntimeError(SAID),
    OperationalError(SAID, {"password": SAID}, Exception(SAID)),
    OSError(111, "Connection refused", SAID),
    KeyError(SAID),
    ExceptionGroup(SAID, [ValueError(SAID)]),
    RecursionError(SAID),
    UnicodeDecodeError("utf-8", SAID.encode(), 0, 1, SAID),
    AssertionError(SAID),
    TimeoutError(SAID),
)


class Broken(Command):
    """Breaks as it is told."""

    word = "health"
    summary = usage = about = "Breaks"
    examples = ()
    needs = Needs.WORD

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Never does."""
        raise self._error


@pytest.mark.parametrize("error", HOSTILE, ids=lambda error: type(error).__name__)
async def test_a_fault_shows_a_reference_alone(error: Exception) -> None:
    """In the answer, in the audit log, and in what is for machines; its trace is in the log."""
    world = World()
    world.dispatcher._services = replace(world.dispatcher._services, commands={"health": Broken(error)})

    reply = await world.ask(in_slack("dana", "health"))

    assert "Something broke in Maint" in read(reply)
    assert "c" * 8 in read(reply)
    shown = repr(reply) + repr(world.audit.events)
    words = ("SELECT", "10.0.0.7", "maint.yaml", "p4ssw0rd", "Traceback", type(error).__name__)
    assert [word for word in words if word in shown] == []
