"""`/maint audit verify`: computes the chain anew, and says what does not fit."""

import asyncio
from pathlib import Path

from commands.audit.sub_word import SubWord
from commands.command import ActorKind, Progress, Request, Services
from commands.needs import Needs
from commands.reply import Alarm, Element, Fields, Note, Paragraph, Reply
from commands.words import counted
from runbooks.errors import UsageError
from runbooks.proof.proof import Findings
from runbooks.records.verify import Verified
from runbooks.status import Status

TITLE = "The audit log, verified"
#: Findings that are listed.
MOST = 10


class Verify(SubWord):
    """Verifies the log, with the anchors of every place that is configured; at the terminal of files too."""

    word = "verify"
    summary = "Computes the chain anew, and names the first event that was changed, removed or put in"
    usage = "[--anchors FILE…]"
    examples = (
        ("verify", "computes the chain anew, and holds it against the anchors"),
        ("verify --anchors saved.txt", "with anchors that you kept, copied from the channel, say"),
    )
    needs = Needs.WORD
    everywhere = True

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """What was found: fine, does not fit, or not known."""
        files = _files(request, words)
        loop = asyncio.get_running_loop()

        def show(done: int, total: int) -> None:
            loop.call_soon_threadsafe(progress, _under_way(done, total))

        progress(_under_way(0, 0))
        return _found(await services.proof.verify(request.by, files=files, progress=show))


def _files(request: Request, words: tuple[str, ...]) -> tuple[Path, ...]:
    if not words:
        return ()
    if words[0] != "--anchors" or len(words) < 2:
        raise UsageError(f"Say: {request.program} audit verify, at the terminal also --anchors FILE.")
    if request.actor.kind is not ActorKind.TERMINAL:
        raise UsageError("Files of anchors are read at the terminal: maint audit verify --anchors FILE.")
    return tuple(Path(word) for word in words[1:])


def _under_way(done: int, total: int) -> Reply:
    said = f"{done:,} of {total:,} events" if total else "Asking the places that keep anchors"
    return Reply(
        title="Verifying the audit log", fallback=said, elements=(Paragraph(f"{said} …"),), done=False
    )


def _found(findings: Findings) -> Reply:
    log = findings.log
    status, said = _judged(findings)
    elements: list[Element] = [Paragraph(said) if status is Status.OK else Alarm(said)]
    elements += [Alarm(each.text) for each in log.misfits[1:MOST] if each.text != said]
    if len(log.misfits) > MOST:
        elements.append(Note(f"And {counted(len(log.misfits) - MOST, 'more finding')}."))
    elements.append(Fields(tuple(_fields(findings))))
    elements += [Note(text) for text in (*findings.unread, *_notes(findings))]
    return Reply(
        title=TITLE, fallback=said, status=status, elements=tuple(elements), data=_data(findings, status)
    )


def _judged(findings: Findings) -> tuple[Status, str]:
    log = findings.log
    if log.misfits:
        return Status.CRITICAL, log.misfits[0].text
    if log.refused:
        return Status.UNKNOWN, f"The chain holds, but an anchor is not to be believed: {log.refused[0]}."
    if log.unknown_keys:
        count = counted(log.unknown_keys, "anchor")
        text = f"The chain holds, but {count} were signed with a key that `public_keys` does not name."
        return Status.UNKNOWN, text
    if findings.unread:
        return Status.UNKNOWN, "The chain holds, but not every place that keeps anchors could be asked."
    return Status.OK, f"{counted(log.events, 'event')}, and nothing was changed, removed or put in."


def _fields(findings: Findings) -> list[tuple[str, str]]:
    log = findings.log
    fields = [("Events", f"{log.first:,} to {log.last:,}"), ("Head", log.last_hash or "nothing")]
    if log.removed_up_to:
        fields.append(("Removed for their age", f"up to event {log.removed_up_to:,}"))
    fields += [(name, counted(count, "anchor")) for name, count in findings.kept]
    if log.confirmed:
        fields.append(
            ("Confirmed from outside", f"up to event {log.anchored_to:,} ({log.confirmed:,} anchors)")
        )
    if findings.held:
        fields.append(("Held", findings.held))
    return fields


def _notes(findings: Findings) -> list[str]:
    log = findings.log
    notes = [f"Not believed: {text}." for text in log.refused]
    if not findings.signs and not log.signed_to and not log.anchored_to:
        notes.append("Nothing anchors the end: who owns the database can cut events off. See docs/audit.md.")
    elif not log.anchored_to:
        notes.append(
            "No anchor came from outside the database: who owns it can cut events off and sign nothing."
        )
    elif log.anchored_to < log.last and not log.misfits:
        notes.append(f"Events after {log.anchored_to:,} are younger than the newest anchor from outside.")
    return notes


def _data(findings: Findings, status: Status) -> dict[str, object]:
    log: Verified = findings.log
    return {
        "status": status,
        "events": log.events,
        "first": log.first,
        "last": log.last,
        "hash": log.last_hash,
        "removed_up_to": log.removed_up_to,
        "anchored_to": log.anchored_to,
        "confirmed": log.confirmed,
        "signed_to": log.signed_to,
        "misfits": [{"seq": m.seq, "how": m.how, "id": m.id, "text": m.text} for m in log.misfits],
        "refused": list(log.refused),
        "unknown_keys": log.unknown_keys,
        "unread": list(findings.unread),
        "places": dict(findings.kept),
        "held": findings.held,
    }
