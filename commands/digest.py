"""`/maint digest`: the digest as it would be now, for you alone or for its channel."""

from collections.abc import Mapping
from dataclasses import replace

from commands.alert_deeds import may_see
from commands.command import ActorKind, Command, Progress, Request, Services
from commands.digest_card import digest_card, weekly_card
from commands.health import RUNBOOK
from commands.needs import Needs
from commands.reply import Note, Paragraph, Reply
from commands.rights import check_everywhere
from commands.words import quoted
from runbooks.access import NOWHERE
from runbooks.errors import MaintError, Refused, UsageError
from runbooks.nearest import nearest
from runbooks.records.reports import report_id
from runbooks.spec.runbook import Runbook
from runbooks.status import Status
from runbooks.watch.desk import Desk, Sight
from runbooks.watch.digest import states_of
from runbooks.watch.entries import only_looks
from runbooks.watch.reporter import DigestReporter
from runbooks.watch.weekly import weekly

POST, WEEKLY = "post", "weekly"


class DigestCommand(Command):
    """Makes a digest at once."""

    word = "digest"
    summary = "The digest as it would be now"
    usage = "[weekly] [RUNBOOK] [post]"
    about = (
        "Runs the checks and shows the digest that would come now, to you alone and of what you may see: "
        "what is not fine, what is otherwise than in the last digest, what is well, open alerts, approvals "
        "that wait, what comes today, who is on call. With weekly it is the weekly form, which needs no "
        "checks. RUNBOOK is health, or the first with a digest on its schedule. With post it goes to its "
        "channel, with its trends. The weekly form and post need a grant of digest for every environment."
    )
    examples = (
        ("digest", "the digest of this moment, for you alone"),
        ("digest post", "in its channel, for everybody"),
        ("digest weekly", "how the last seven days were"),
    )
    needs = Needs.WORD

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The digest, or where it will be."""
        said = [word.casefold() for word in words]
        post, is_weekly = POST in said, WEEKLY in said
        names = [word for word in said if word not in (POST, WEEKLY)]
        if len(names) > 1:
            raise UsageError(f"{request.program} digest {self.usage}")
        runbook = _chosen(names, services)
        desk = desk_of(request, services)
        if post:
            return await self._post(request, services, desk, runbook, is_weekly)
        if is_weekly:
            check_everywhere(request, self.word)
            now = services.now()
            form = await services.records.read(lambda connection: weekly(connection, runbook, now))
            return replace(weekly_card(form), private=True)
        return await self._preview(request, services, desk, runbook, progress)

    async def _preview(
        self, request: Request, services: Services, desk: Desk, runbook: Runbook, progress: Progress
    ) -> Reply:
        sight = Sight(
            targets=lambda target: request.access.may_touch(self.word, target.environment, target.name),
            alerts=lambda alert: may_see(request, alert),
            questions=request.access.may_touch(self.word, NOWHERE),
        )
        if services.targets and not any(map(sight.targets, services.targets.values())):
            raise Refused("There is no target that you may see from here.")
        report = await desk.look(runbook, request.correlation, sight)
        before = await DigestReporter(desk, told=_nothing).before(runbook, "")
        if before is not None:
            # What somebody may not see has not gone from the checks.
            seen = states_of(report)
            kept = {key: state for key, state in before.states.items() if key in seen}
            before = replace(before, states=kept)
        digest = await desk.digest(runbook, report, before=before, timezone=request.timezone, sight=sight)
        reply = digest_card(digest)
        hidden = sum(1 for target in services.targets.values() if not sight.targets(target))
        note = Note(f"Without {hidden} that you may not see.") if hidden else Note("Only you see this.")
        return replace(reply, private=True, elements=(*reply.elements, note))

    async def _post(
        self, request: Request, services: Services, desk: Desk, runbook: Runbook, is_weekly: bool
    ) -> Reply:
        check_everywhere(request, self.word)
        channel = _channel(request, runbook, is_weekly)
        reporter = DigestReporter(desk, told=services.alerts.told, charts=services.charts)
        source = f"request:{request.correlation}"
        if is_weekly:
            await reporter.post_weekly(runbook, channel, source)
        else:
            report = await desk.look(runbook, report_id(source))
            if report.unkept:
                raise MaintError(report.unkept)
            await reporter.post(runbook, report, channel, source)
        return Reply(
            title="The digest is on its way",
            fallback=f"The digest goes to {channel}.",
            status=Status.OK,
            elements=(Paragraph(f"It goes to {_shown(channel, services.channels)}."),),
            data={"report": report_id(source), "channel": channel},
        )


def desk_of(request: Request, services: Services) -> Desk:
    """Where the digests of somebody's request are made."""

    async def names(person: str) -> str:
        return (await request.look_up(person)).name

    return Desk(
        database=services.records,
        checks=services.checks,
        targets=services.targets,
        runbooks={name: each for name, each in services.runbooks.items() if name not in services.unfit},
        rotations=services.rotations,
        now=services.now,
        names=names,
    )


def _chosen(names: list[str], services: Services) -> Runbook:
    """The runbook that is meant. Raises UsageError."""
    looking = {
        name: each for name, each in services.runbooks.items() if each.steps and only_looks(each.steps)
    }
    if names:
        if found := looking.get(names[0]):
            return found
        meant = nearest(names[0], looking)
        hint = f"Did you mean {meant}?" if meant else f"There are: {', '.join(looking) or 'none'}."
        raise UsageError(f"No runbook {quoted(names[0])} only looks, so there is no digest of it. {hint}")
    scheduled = [name for name, each in looking.items() if any(s.report == "digest" for s in each.schedule)]
    name = RUNBOOK if RUNBOOK in looking else next(iter((*scheduled, *looking)), "")
    if not name:
        raise UsageError("There is no runbook that only looks, so there is no digest.")
    return looking[name]


def _channel(request: Request, runbook: Runbook, is_weekly: bool) -> str:
    """Where its digests go, or else where somebody asks for one. Raises UsageError when there is none."""
    wanted = "weekly" if is_weekly else "digest"
    for schedule in runbook.schedule:
        if schedule.report == wanted and (schedule.channel or runbook.channel):
            return schedule.channel or runbook.channel
    if request.actor.kind is ActorKind.SLACK and not request.place.direct:
        return request.place.id
    if runbook.channel:
        return runbook.channel
    raise UsageError(f"{runbook.name} has no channel for digests: ask for it in a channel of Slack's.")


def _shown(channel: str, channels: Mapping[str, str]) -> str:
    return f"#{channel}" if channel in channels else "this channel"


def _nothing() -> None:
    """Nobody has to be told of what is only looked at."""
