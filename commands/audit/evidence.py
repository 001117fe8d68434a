"""`maint audit evidence RUN`: everything about one run in one file, for who audits changes."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from commands.audit.new_file import NewFile
from commands.audit.options import options
from commands.audit.pack import Gathered, Proof, pack
from commands.audit.resolve import find_run
from commands.audit.sight import Sight
from commands.audit.sub_word import SubWord
from commands.command import ActorKind, Progress, Request, Services
from commands.happened import happened
from commands.needs import Needs
from commands.reply import Alarm, Attachment, Element, Note, Paragraph, Reply, Span, code, strong
from commands.rights import short
from runbooks.engine.events import targets_of
from runbooks.errors import UsageError
from runbooks.records import audit, evidence, search
from runbooks.records.audit import LARGEST_PAGE, SLACK_CONNECTED, Event, Filter, Outcome, Recorded
from runbooks.records.search import Wanted, Window
from runbooks.status import Status


class Evidence(SubWord):
    """Puts a pack together: plan, approvals, outputs, messages, events, and whether the chain holds."""

    word = "evidence"
    summary = (
        "Puts everything about one run into a zip file, for who audits changes (SOC 2 CC8.1): plan, "
        "approvals, outputs, messages, events, and whether the log was touched. In Slack, ask for it in a "
        "direct message with Maint"
    )
    usage = "RUN [--to FILE.zip]"
    examples = (("evidence 3f9kq2ab", "writes evidence-3f9kq2ab.zip"),)
    needs = Needs.BUSINESS  # of runs that are the asker's business, or that they were granted `audit` for

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The pack: a file here, in Slack a file in the direct message."""
        given = options(words, values=("to",))
        if len(given.rest) != 1:
            raise UsageError("Of which run? For example: audit evidence 3f9kq2ab.")
        in_slack = request.actor.kind is ActorKind.SLACK
        if in_slack and given.values:
            raise UsageError("--to is for the terminal. Here the file is sent to you.")
        if in_slack and not request.place.id.startswith("D"):
            raise UsageError(
                "A pack goes to you alone: ask for it in a direct message with Maint, or at the terminal, as "
                f"maint audit evidence {given.rest[0]}."
            )
        run = await find_run(request, services, given.rest[0], Sight(request, services))
        # What is shown while it works is a card there, and this is nobody's business but the asker's.
        gathered = await _gather(services, run, _unseen if in_slack else progress)
        made_at = services.now()
        content = await asyncio.to_thread(pack, gathered, request.actor.name, made_at)
        name = f"evidence-{short(run)}.zip"
        event = _event(request, services, gathered, content.digest)
        if in_slack:
            await services.records.write(partial(_record, event=event))
            return replace(_told(gathered, name), files=(Attachment(name, content.data),))
        path = _path(given.values.get("to", name))
        with await asyncio.to_thread(NewFile, path) as file:
            await asyncio.to_thread(file.write, content.data)
            await asyncio.to_thread(file.flush)
            await services.records.write(partial(_record, event=event))
            await asyncio.to_thread(file.keep)
        return _told(gathered, str(path))


def _unseen(_: Reply) -> None:
    return


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _record(connection: Any, event: Event) -> None:
    audit.append(connection, event)


def _event(request: Request, services: Services, gathered: Gathered, digest: str) -> Event:
    run = gathered.view.run
    details = {"sha256": digest, "events": len(gathered.events), "fits": gathered.proof.fits}
    return happened(
        request,
        "audit.evidence",
        Outcome.OK,
        services.now(),
        object=f"{run.runbook} {short(run.id)}",
        correlation=run.id,
        runbook=run.runbook,
        targets=targets_of(run.plan),
        details=details,
    )


def _under_way(count: int) -> Reply:
    text = f"{count:,} events checked"
    return Reply(title="Evidence", fallback=text, elements=(Paragraph(text),), done=False)


def _told(gathered: Gathered, where: str) -> Reply:
    run, proof = gathered.view.run, gathered.proof
    verdict: Element = Note(proof.words()) if proof.fits else Alarm(proof.words())
    return Reply(
        title=f"Evidence: {run.title}",
        fallback=f"Evidence of run {short(run.id)}: {where}",
        status=Status.OK if proof.fits else Status.CRITICAL,
        elements=(
            Paragraph((strong(run.title), Span("  run "), code(short(run.id)), Span("  "), code(where))),
            verdict,
        ),
        data={
            "run": run.id,
            "file": where,
            "events": len(gathered.events),
            "fits": proof.fits,
            "fault": proof.fault,
            "anchored": proof.after is not None,
        },
    )


async def _gather(services: Services, run: str, progress: Progress) -> Gathered:
    records = services.records
    view = await services.runs.view(run)
    if view is None:
        raise UsageError("There is no such run any more.")
    events = await _events(services, run)
    path, source = await records.read(partial(evidence.runbook_of, snapshot=view.run.snapshot))
    return Gathered(
        view=view,
        journal=await services.runs.journal(run),
        source_path=path,
        source=source,
        messages=await records.read(partial(evidence.messages, run=run)),
        events=events,
        proof=await _prove(services, events, progress),
        workspace=await _workspace(services),
    )


async def _workspace(services: Services) -> str:
    """Its address, as Slack gave it when Maint connected last; empty where it never did."""
    connected = await services.records.events(Filter(action=SLACK_CONNECTED), limit=1)
    return str(connected[0].event.details.get("url", "")) if connected else ""


async def _events(services: Services, run: str) -> tuple[Recorded, ...]:
    """All of the run's, oldest first."""
    found: list[Recorded] = []
    wanted = Wanted(correlation=run)
    while True:
        after = found[-1].seq if found else 0
        work = partial(search.oldest, wanted=wanted, after=after, limit=LARGEST_PAGE)
        page = await services.records.read(work)
        found += page
        if len(page) < LARGEST_PAGE:
            return tuple(found)


async def _prove(services: Services, events: tuple[Recorded, ...], progress: Progress) -> Proof:
    """Computes the chain anew, from the run's first event to the signed head behind its last one."""
    if not events:
        return Proof(fault="the log has no event of this run")
    records, of_run = services.records, Window(events[0].seq, events[-1].seq)
    before, after = await records.read(partial(evidence.checkpoints, within=of_run))
    last = int(after["seq"]) if after else of_run.last
    left, prev, count = Window(of_run.first, last), events[0].prev, 0
    fault = ""
    while not left.empty and not fault:
        checked = await records.read(partial(evidence.check, within=left, prev=prev))
        prev, fault, count = checked.hash, checked.fault, count + checked.count
        left = Window(left.first + checked.count, left.last)
        progress(_under_way(count))
    if after and not fault and prev != after["hash"]:
        fault = f"the signed head says that event {last} has another hash"
    return Proof(
        first=of_run.first, last=last, checked=count, hash=prev, fault=fault, before=before, after=after
    )
