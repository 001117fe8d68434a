"""`/maint approve RUN`: says yes at a gate."""

from commands.asked import asked
from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import choose, decide, named_run, reason_in
from commands.needs import Needs
from commands.reply import Reply
from runbooks.errors import UsageError
from runbooks.records.runs import AskKind

GLASS = "--break-glass"


class Approve(Command):
    """Approves what a run waits for."""

    word = "approve"
    summary = "Approve what a run waits for"
    usage = '[RUN] [--break-glass "why"]'
    about = (
        "Approves the plan that a run's card shows. Whom the gate names may do so, checked at this moment; "
        "who asked for the run may not, unless the gate says so. RUN is what its card shows, or the last "
        "letters of it; RUN/STEP names one of several gates. Without RUN it lists what waits for you. "
        "--break-glass opens a gate alone, with a reason: it is shown in red, and a second person reviews it "
        "afterwards."
    )
    examples = (
        ("approve", "what waits for you"),
        ("approve 3f9kq2ab", "approves it"),
        ("approve 3f9kq2ab/go", "approves it at the step go"),
        (
            'approve 3f9kq2ab --break-glass "db is down, nobody answers"',
            "opens the gate alone, in an emergency",
        ),
    )
    needs = Needs.BUSINESS
    group = Group.DECIDE

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Approves, or lists what there is to approve."""
        if not words:
            return await asked(request, services, (AskKind.GATE,), "Approvals")
        glass = words[1:2] == (GLASS,)
        if len(words) > 1 and not glass:
            raise UsageError(
                "An approval needs no words after RUN. "
                f'To open a gate alone, in an emergency: {request.program} approve RUN {GLASS} "why"'
            )
        usage = f'{request.program} approve {words[0]} {GLASS} "why"'
        reason = reason_in(words[2:], usage) if glass else ""
        view, step = await named_run(request, services, words[0])
        ask = choose(request, view, "approve", step)
        return await decide(request, services, view, ask, "approve", words=reason, break_glass=glass)
