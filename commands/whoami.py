"""`/maint whoami`: who Maint takes the asker for, and what they may do."""

from commands.command import Actor, ActorKind, Command, Group, Progress, Request, Services
from commands.needs import Needs
from commands.reply import Element, Note, Paragraph, Reply, Span, code, strong
from runbooks.access.grants import AT_TERMINAL, Grant
from runbooks.errors import UsageError
from runbooks.targets import TargetBase


class WhoAmI(Command):
    """Shows the asker's identity, roles and grants."""

    word = "whoami"
    summary = "Who you are to Maint, and what you may do"
    usage = ""
    about = "Shows your Slack id, the roles that you have at this moment, and what they are granted."
    examples = (("whoami", "your id, your roles, your grants"),)
    needs = Needs.NOTHING
    instant = True
    group = Group.ABOUT

    def named_targets(self, words: tuple[str, ...], services: Services) -> tuple[TargetBase, ...]:
        """None. Refuses words: it tells of nobody but the asker."""
        if words:
            raise UsageError("whoami takes no words after it: it tells only you about yourself.")
        return ()

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Name, id, roles, grants."""
        actor, access = request.actor, request.access
        roles = ", ".join(sorted(access.roles - {AT_TERMINAL})) or "none"
        elements: list[Element] = [
            Paragraph((strong(actor.name), Span("  "), code(actor.id))),
            *((Paragraph(f"Roles: {roles}"),) if actor.kind is ActorKind.SLACK else ()),
            *_acting(actor),
            *(Paragraph(grant_line(grant)) for grant in access.grants),
        ]
        if not access.grants:
            elements.append(Note(_nothing(request)))
        return Reply(
            title="You",
            fallback=f"You are {actor.name} ({actor.id}); roles: {roles}",
            elements=tuple(elements),
            data={
                "id": actor.id,
                "acts_as": actor.acts_as,
                "name": actor.name,
                "roles": sorted(access.roles - {AT_TERMINAL}),
                "grants": [grant.as_json() for grant in access.grants],
            },
        )


def _acting(actor: Actor) -> tuple[Paragraph, ...]:
    """Who somebody at the terminal is in Slack."""
    if actor.kind is ActorKind.SLACK:
        return ()
    if actor.acts_as:
        return (Paragraph(f"In Slack: {actor.acts_as}, who approves from here as from there."),)
    missing = f"In Slack: nobody. To approve from here, put `logins: {{{actor.id}: U…}}` into maint.yaml."
    return (Paragraph(missing),)


def _nothing(request: Request) -> str:
    if request.actor.kind is ActorKind.SLACK:
        return "You have no grant. Who looks after maint.yaml can add your id to a role."
    return (
        "You have no grant at this terminal. Who looks after maint.yaml can write there: "
        f"`terminal: [{{users: [{request.actor.name}], commands: [health]}}]`."
    )


def grant_line(grant: Grant) -> str:
    """What a grant says, and where it stands: `sre: health; any environment; any channel  (maint.yaml:9)`."""
    who = "here" if grant.role == AT_TERMINAL else grant.role
    parts = [f"{who}{' DENIED' if grant.deny else ''}: {grant.what()}", grant.limits()]
    if grant.role != AT_TERMINAL:
        parts.append("any channel" if "*" in grant.channels else "from " + ", ".join(grant.channels))
    if grant.approval:
        parts.append(grant.approval.words())
    return f"{'; '.join(parts)}  ({grant.place})"
