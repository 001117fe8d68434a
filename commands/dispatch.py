"""From words to a command: understood, allowed and recorded, in that order, before anything is done."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import structlog

from commands.command import Command, Progress, Request, Services
from commands.given import FormNeeded, secrets_in
from commands.happened import happened
from commands.refusals import refusal
from commands.reply import Note, Paragraph, Reply
from commands.words import LONGEST, quoted, split_words
from runbooks.errors import MaintError, RecordsError, Refused, UsageError
from runbooks.nearest import nearest
from runbooks.records.audit import Event, Outcome
from runbooks.scrub import PLACEHOLDER, Scrubber, scrubbed
from runbooks.steps.reach import utc_now
from runbooks.targets import TargetBase

log = structlog.get_logger()


class Recorder(Protocol):
    """The audit log, as far as it is written here."""

    async def record(self, event: Event, delivery_key: str | None = None) -> bool:
        """Writes the event; False, and no second effect, if that delivery was recorded before."""


@dataclass(frozen=True)
class Admission:
    """A request that was understood, allowed and recorded: it may be carried out, once."""

    request: Request
    command: Command
    words: tuple[str, ...]
    targets: tuple[str, ...] = ()  # the names of those that the words name


def message(title: str, text: str) -> Reply:
    """A short private answer."""
    return Reply(title=title, fallback=f"{title}: {text}", elements=(Paragraph(text),))


def crashed(correlation: str) -> Reply:
    """What people read of a fault of ours: a reference to its trace in the log."""
    return message(
        "Something broke in Maint",
        f"Look for {correlation[-8:]} in its log, or give it to whoever looks after Maint.",
    )


def _open(command: Command) -> bool:
    """Whether its word is granted for no target: it asks for another right, or for none."""
    return command.everyone or command.by_runbook


def _may_touch(request: Request, command: Command, target: TargetBase) -> bool:
    return request.access.may_touch(command.word, target.environment, target.name)


class Dispatcher:
    """Takes requests from Slack and from the terminal alike. No known secret is in what it returns."""

    def __init__(
        self,
        services: Services,
        recorder: Recorder,
        scrub: Scrubber,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._services = services
        self._recorder = recorder
        self._scrub = scrub
        self._now = now

    async def admit(self, request: Request, delivery_key: str | None = None) -> Admission | Reply | None:
        """The way in. A private Reply is a refusal; None is a delivery that was already taken care of.

        Whatever the answer is, it stands in the audit log first: if that cannot be written, nothing is done.
        """
        outcome, admission, answer = Outcome.ACCEPTED, None, None
        named: list[str] = []
        try:
            admission = self._understand(request, named)
        except UsageError as error:
            outcome, answer = Outcome.INVALID, message("I did not understand that", str(error))
        except Refused as error:
            outcome, answer = Outcome.DENIED, message("Not allowed", str(error))
        try:
            word = admission.command.word if admission else self._word(request)
            action = f"command.{word}"
            answer = scrubbed(answer, self._scrub)
            event = self._event(request, action, outcome, answer.fallback if answer else "", tuple(named))
            if not await self._recorder.record(event, delivery_key):
                return None
        except RecordsError as error:
            log.error("audit.failed", error=str(error))
            return message(
                "Nothing was done", "The audit log cannot be written, and Maint does nothing without it."
            )
        return admission or answer

    async def admit_command(
        self, request: Request, command: Command, words: tuple[str, ...], delivery_key: str
    ) -> Admission | Reply | None:
        """As `admit`, for what was not typed: a button or a form knows its command and its words."""
        outcome, answer = Outcome.ACCEPTED, None
        try:
            self._allow(request, command)
        except Refused as error:
            outcome, answer = Outcome.DENIED, message("Not allowed", str(error))
        try:
            event = self._event(
                request, f"command.{command.word}", outcome, answer.fallback if answer else ""
            )
            if not await self._recorder.record(event, delivery_key):
                return None
        except RecordsError as error:
            log.error("audit.failed", error=str(error))
            return message(
                "Nothing was done", "The audit log cannot be written, and Maint does nothing without it."
            )
        return answer or Admission(request, command, words)

    async def refuse(
        self, request: Request, outcome: Outcome, reason: str, delivery_key: str | None = None
    ) -> Reply | None:
        """Records a request that was refused before it was read, and returns what to tell the person."""
        try:
            event = self._event(request, "command.refused", outcome, reason)
            recorded = await self._recorder.record(event, delivery_key)
        except RecordsError as error:
            log.error("audit.failed", error=str(error))
            recorded = True
        return message("Not allowed", reason) if recorded else None

    def _word(self, request: Request) -> str:
        """The command that was meant, though it may have been refused; `unknown` where there is none."""
        typed = request.text.split(maxsplit=1)
        found = self._services.commands.get(typed[0].casefold()) if typed else None
        return found.word if found else "unknown"

    def _understand(self, request: Request, named: list[str]) -> Admission:
        """What to do. `named` gets the targets, also of what is refused then."""
        commands = self._services.commands
        if len(request.text) > LONGEST:
            raise UsageError(f"That is longer than {LONGEST} characters, so nothing of it was done.")
        words = split_words(request.text) or ("help",)
        command = commands.get(words[0].casefold())
        if command is None:
            meant = nearest(words[0], [word for word, each in commands.items() if not refusal(request, each)])
            hint = f"Did you mean {request.program} {meant}? " if meant else ""
            raise UsageError(
                f"There is no command {quoted(words[0])}. {hint}{request.program} help lists yours."
            )
        self._allow(request, command)
        admission = Admission(request, command, words[1:])
        targets = self._named_targets(request, admission)
        named += [target.name for target in targets]
        admission = replace(admission, targets=tuple(named))
        for target in targets:
            if not _open(command) and not _may_touch(request, command, target):
                raise Refused(f"You may not use {command.word} on {target.environment} ({target.name}) here.")
        return admission

    def _named_targets(self, request: Request, admission: Admission) -> tuple[TargetBase, ...]:
        command, words = admission.command, admission.words
        try:
            return command.named_targets(words, self._services)
        except UsageError:
            # Its hints name targets: said again with those alone that the person may see.
            seen = {
                name: target
                for name, target in self._services.targets.items()
                if _open(command) or _may_touch(request, command, target)
            }
            command.named_targets(words, replace(self._services, targets=seen))
            raise

    def _allow(self, request: Request, command: Command) -> None:
        if why := refusal(request, command):
            raise Refused(why)

    async def carry_out(self, admission: Admission, progress: Progress) -> Reply:
        """Does what was admitted, records how it ended, and returns what to say. Raises nothing but
        CancelledError: a fault of ours becomes a reply with a reference id, and the log has the trace."""
        request, command = admission.request, admission.command
        outcome = Outcome.OK
        try:
            reply = await command.answer(
                request,
                admission.words,
                self._services,
                lambda unfinished: progress(scrubbed(unfinished, self._scrub)),
            )
        except FormNeeded as error:
            outcome = Outcome.INVALID
            wrong = "Some parameters are missing or wrong" if error.form.faults else "Say which target"
            reply = replace(message(wrong, str(error)), form=error.form)
        except UsageError as error:
            outcome, reply = Outcome.INVALID, message("That does not fit", str(error))
        except Refused as error:
            outcome, reply = Outcome.DENIED, message("Not allowed", str(error))
        except MaintError as error:
            outcome = Outcome.FAILED
            reply = message("That did not work", str(error))
        except Exception:
            outcome = Outcome.FAILED
            log.exception("command.crashed", command=command.word)
            reply = crashed(request.correlation)
        reply = scrubbed(reply, self._scrub)
        status = f" ({reply.status})" if reply.status else ""
        try:
            event = self._event(
                request, f"command.{command.word}.finished", outcome, reply.title + status, admission.targets
            )
            await self._recorder.record(event)
        except RecordsError as error:
            log.error("audit.failed", error=str(error))
            lost = Note("Careful: how this ended could not be written to the audit log.")
            reply = replace(reply, elements=(*reply.elements, lost))
        return reply

    def _event(
        self,
        request: Request,
        action: str,
        outcome: Outcome,
        note: str = "",
        targets: tuple[str, ...] = (),
    ) -> Event:
        """The audit event of something that the request's actor did."""
        return happened(
            request,
            action,
            outcome,
            self._now(),
            object=self._without_secrets(request),
            runbook=self._runbook(request),
            targets=targets,
            details={"note": self._scrub(note)} if note else {},
        )

    def _runbook(self, request: Request) -> str:
        """The runbook that the words of the request name; of a form that was sent, too."""
        words = split_words(request.text)
        command = self._services.commands.get(words[0].casefold()) if words else None
        if command is None or not command.by_runbook or len(words) < 2:
            return ""
        return words[1].casefold() if words[1].casefold() in self._services.runbooks else ""

    def _without_secrets(self, request: Request) -> str:
        """What was typed, fit for the audit log: without known secrets, and without those in its words."""
        text = request.text
        words = split_words(text)
        command = self._services.commands.get(words[0].casefold()) if words else None
        # Of a word that is none, it may be `run` mistyped: any value may be a secret's.
        unread = secrets_in(words, None) if command is None else ()
        if hidden := command.hidden(words[1:], self._services) if command else unread:
            # Quotes and spaces may stand inside a value: put together again from the words that were read.
            text = shlex.join(_without(word, hidden) for word in words)
        return self._scrub(text)


def _without(word: str, hidden: tuple[str, ...]) -> str:
    for value in hidden:
        word = word.replace(value, PLACEHOLDER)
    return word
