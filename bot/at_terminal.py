"""Carries out one command for the person at the terminal, and the run that it starts."""

import asyncio
import shlex
import signal
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import structlog
from rich.console import Console
from tzlocal import get_localzone_name

from bot import __version__, terminal
from bot.authority import Granted
from bot.config_event import config_loaded, this_process
from bot.core import Core, open_core
from bot.follow import EXIT_LEFT, exit_code, follow
from bot.logins import Login, access_of, login_name
from bot.logs import set_up_logs
from bot.lookup import Lookup
from bot.secret_words import with_secrets
from bot.settings import load_settings
from commands.command import Actor, ActorKind, Group, Request
from commands.dispatch import Admission
from commands.reply import Note, Reply
from commands.rights import short
from commands.run_detail import in_full
from runbooks.access import TERMINAL, Place
from runbooks.engine.carrier import Sender
from runbooks.engine.crew import Crew
from runbooks.engine.decided import Verdict
from runbooks.ids import new_id
from runbooks.records import replicas
from runbooks.records.only_process import only_process
from runbooks.records.person import Person
from runbooks.records.runs import RunState
from runbooks.scrub import scrubbed
from runbooks.spec.model import known_zone
from runbooks.status import EXIT_CODES, Status

#: The commands that change runs: somebody has to carry on what they set going.
_MOVING = frozenset({Group.RUN, Group.DECIDE, Group.EMERGENCY})
#: Seconds that a run gets to come to rest when the person leaves.
DRAIN = 7.0


async def run_at_terminal(
    path: Path,
    environ: Mapping[str, str],
    words: tuple[str, ...],
    *,
    as_json: bool,
    verbose: bool,
    detach: bool = False,
) -> int:
    """Carries out one command for the person at the terminal, and follows the run that it started, unless
    `detach`; returns the exit code."""
    loaded = await asyncio.to_thread(load_settings, path, environ)
    set_up_logs(loaded.scrub, "console", "warning")
    user = login_name()
    lookup = Lookup(loaded.settings, environ)
    login = Login(f"{user}@{socket.gethostname()}", loaded, lookup)
    actor = Actor(kind=ActorKind.TERMINAL, id=login.login, name=user, acts_as=login.user)
    request = Request(
        actor=actor,
        place=Place(id=TERMINAL),
        access=access_of(user, loaded),
        correlation=new_id(),
        text=shlex.join(words),
        holds=login.holds,
        look_up=login.look_up,
        timezone=known_zone(get_localzone_name() or ""),
    )
    structlog.contextvars.bind_contextvars(correlation=request.correlation)
    console = Console(stderr=as_json)
    authority = Granted(loaded)
    by = Person(kind=actor.kind, id=login.login, name=user)
    async with (
        open_core(loaded, authority, by=by) as core,
        lookup.open(core.records.record),
        AsyncExitStack() as stack,
    ):
        authority.connect(lookup.roles_by_id)
        admission = await core.dispatcher.admit(request)
        if not isinstance(admission, Admission):
            reply = admission
            assert reply is not None
            code = EXIT_CODES[Status.UNKNOWN]
        else:
            admission = with_secrets(admission, core.services.runbooks, environ, loaded.scrub)
            alone = admission.command.group in _MOVING and await _connect(core, stack)
            with terminal.live(console) as progress:
                reply = await core.dispatcher.carry_out(admission, progress)
            answered = Status.OK if reply.data is not None else Status.UNKNOWN
            code = EXIT_CODES[reply.status or answered]
            if reply.run and not detach:
                done = RunState.ROLLED_BACK if words[0] == "rollback" else RunState.SUCCEEDED
                reply, code = await _followed(core, console, reply, done)
            elif alone and (moved := _moved(reply)):
                # What was decided goes on in this very process, or not before somebody serves again.
                console.print(terminal.draw(reply))
                reply, code = await _followed(core, console, replace(reply, run=moved), RunState.SUCCEEDED)
    if as_json:
        terminal.print_json(reply)
    elif reply.output:
        terminal.print_output(reply)
    else:
        console.print(terminal.draw(reply))
        if verbose:
            console.print(terminal.draw_details(reply))
    return code


def _moved(reply: Reply) -> str:
    """The run that a decision lets go on."""
    data = reply.data if isinstance(reply.data, dict) else {}
    return str(data.get("run", "")) if data.get("outcome") == Verdict.CLOSED else ""


async def _connect(core: Core, stack: AsyncExitStack) -> bool:
    """Where no Maint is serving, this process carries on what the command sets going, while it lasts.

    True when it does.
    """
    if await core.records.read(replicas.alive):
        sender = Sender(core.records.engine)
        stack.callback(sender.close)
        await sender.prepare()
        core.engine.connect(sender)
        return False
    stack.enter_context(only_process(core.loaded.settings.database_url()))
    for event in config_loaded(core.loaded, this_process(), datetime.now(UTC)):
        await core.records.record(event)
    crew = Crew(core.engine, core.records, core.records.engine, version=__version__)
    await crew.start()
    stack.push_async_callback(crew.stop, DRAIN)
    return True


async def _followed(core: Core, console: Console, begun: Reply, done: RunState) -> tuple[Reply, int]:
    """Shows the run until it is over, waits for people, or the person leaves; what to say then, and the
    exit code."""
    leave = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, leave.set)
    try:
        with terminal.live(console) as progress:
            view = await follow(
                core.engine,
                begun.run,
                lambda reply: progress(scrubbed(reply, core.loaded.scrub)),
                leave=leave,
            )
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    if view is None:
        left = Note(f"You left; the run goes on. maint runs {short(begun.run)} shows it.")
        return replace(begun, elements=(*begun.elements, left)), EXIT_LEFT
    reply = in_full("maint", view, await core.engine.journal(view.run.id), datetime.now(UTC))
    return scrubbed(reply, core.loaded.scrub), exit_code(view, done)
