"""Why a word is not open to somebody where they are, and what would open it."""

from commands.command import ActorKind, Command, Request, may_use
from commands.needs import Needs


def refusal(request: Request, command: Command) -> str:
    """Why the person may not use the command here; empty when it is open to them."""
    if is_stranger(request) and command.needs is not Needs.NOTHING:
        return _unknown_here(request, command)
    if may_use(request.access, command):
        return ""
    if denial := request.access.denial(command.word):
        return f"You ({request.actor.id}) may not use {command.word} here: {denial.place} denies it."
    if command.by_runbook:
        return (
            f"You ({request.actor.id}) have no grant for any runbook here. {request.program} whoami "
            "shows what you may do, and from where; who looks after maint.yaml can grant it."
        )
    if request.access.may_use_elsewhere(command.word):
        return (
            f"You may use {command.word}, but not from this channel. "
            f"{request.program} whoami shows from which."
        )
    return (
        f"You ({request.actor.id}) have no grant for {command.word}. "
        f"{request.program} whoami shows what you may do; who looks after maint.yaml can grant it."
    )


def is_stranger(request: Request) -> bool:
    """Whether it is somebody at the terminal to whom nothing was granted there."""
    granted = any(not grant.deny for grant in request.access.grants)
    return request.actor.kind is ActorKind.TERMINAL and not granted


def to_allow(user: str, command: Command) -> str:
    """The line of maint.yaml that would let that user of the machine use the command at the terminal."""
    what = "runbooks: [NAME]" if command.by_runbook else f"commands: [{command.word}]"
    return f"terminal: [{{users: [{user}], {what}}}]"


def _unknown_here(request: Request, command: Command) -> str:
    user = request.actor.name
    return (
        f"Nothing is granted to {user} at this terminal; where maint.yaml has no `terminal:`, only the owner "
        f"of that file may use Maint here. Who looks after it can write there: `{to_allow(user, command)}`."
    )
