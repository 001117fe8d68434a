"""What an auditor reads first in a pack of evidence."""

from collections.abc import Iterator
from datetime import datetime

from commands.audit.times import written
from commands.rights import short
from runbooks.records.runs import AskKind, RunView

_TEXT = """\
Evidence of one change
======================

{title}
run {run} of the runbook {runbook}, state: {state}
asked by {requester} ({requester_id}) at {created}
began {started}, ended {ended}
plan {digest}

This pack was made by {by} at {at}. It is meant for controls over changes, as SOC 2 CC8.1 asks for:
changes are authorized, documented, tested, approved and implemented.

Who approved
------------
{approvals}

Was the log touched?
--------------------
{verdict}

Which file answers what
-----------------------
run.json           what was asked for, by whom, when, with which parameters
runbook.yaml       the procedure as it was when the run began (runbook.json: its path and its sha256)
plan.json          what was going to be done, and the digest that people approved
approvals.json     every question with who may answer it, who did, when, why, and of which plan's digest
outputs.json       every step: state, times, results, what it printed as far as it is kept, and the sha256 of
                   all that it printed
journal.json       everything that was done outside, each with its beginning and its end
messages.json      where it stood in Slack
events.jsonl       every event of the run in the audit log, with the hash that chains it to the one before
checkpoints.json   the signed heads of the log before the run and after it, where there are any
verification.json  what came of computing the chain anew
manifest.json      the sha256 of each of these files

How to check it yourself
------------------------
The hash of an event is made of its columns as docs/audit.md describes ("The format"). Each line of
events.jsonl can be checked on its own: compute its hash, and compare. That no event between them is missing
shows in the whole log only: `maint audit verify` computes all of it and compares it with the signed heads
that were kept elsewhere. Values of secret parameters are nowhere in this pack: in their place stands
a mark.
"""


def readme(view: RunView, verdict: str, by: str, at: datetime) -> str:
    """The text."""
    run = view.run
    return _TEXT.format(
        title=run.title,
        run=short(run.id),
        runbook=run.runbook,
        state=run.state,
        requester=run.requester_name,
        requester_id=run.requester_id,
        created=written(run.created_at),
        started=written(run.started_at) if run.started_at else "never",
        ended=written(run.ended_at) if run.ended_at else "not yet",
        digest=run.plan_digest,
        by=by,
        at=written(at),
        approvals="\n".join(_approvals(view)) or "Nobody was asked: the runbook has no gate.",
        verdict=verdict,
    )


def _approvals(view: RunView) -> Iterator[str]:
    for ask in view.asks:
        if ask.kind != AskKind.GATE:
            continue
        same = "the plan of this run" if ask.digest == view.run.plan_digest else "another plan"
        yield f"{ask.path}: {ask.answer or ask.state}, of {same}"
        for vote in view.votes:
            if vote.ask == ask.id:
                glass = ", alone, with the glass broken" if vote.break_glass else ""
                why = f": {vote.reason}" if vote.reason else ""
                yield f"    {vote.choice} by {vote.name} ({vote.person}) at {written(vote.at)}{glass}{why}"
