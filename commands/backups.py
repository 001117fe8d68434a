"""`/maint backups [TARGET …]`: the backups that there are, how old and how proven; and which must be kept."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import reason_in
from commands.needs import Needs
from commands.reply import Element, Listing, Note, Paragraph, Reply, Span, code, strong
from commands.times import ago
from commands.words import counted, find_target, quoted
from runbooks.access import NOWHERE
from runbooks.backups.backup import Backup
from runbooks.errors import UsageError
from runbooks.records import backups as rows
from runbooks.status import Status
from runbooks.steps.units import show
from runbooks.targets import TargetBase

#: Of each database so many are on the card; all of them are in the details.
MOST = 3
#: A backup that is older, or that long ago proven, is worth a look.
OLD, LONG_AGO = timedelta(days=2), timedelta(days=40)


class BackupsCommand(Command):
    """Lists backups, and puts one on hold."""

    word = "backups"
    summary = "The backups that there are, and how proven"
    usage = "[target …] | hold ID on|off because REASON"
    about = (
        "Lists the backups of each database that you may see: when they were taken, how large they are, "
        "where, and when one was last restored for a proof. One on hold stays, whatever the retention says, "
        "until somebody lets it go."
    )
    examples = (
        ("backups", "all of them"),
        ("backups db", "those of one target"),
        ("backups hold 3f9kq2ab on because the case of May", "this one stays"),
    )
    needs = Needs.WORD
    group = Group.LOOK

    def named_targets(self, words: tuple[str, ...], services: Services) -> tuple[TargetBase, ...]:
        """The targets named; of a hold it is the backup that says which."""
        if words and words[0].casefold() == "hold":
            return ()
        return tuple(find_target(word, services.targets) for word in words)

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The list, or the hold."""
        there = await services.records.read(rows.present)
        seen = [each for each in there if _may(request, services, each.target)]
        if words and words[0].casefold() == "hold":
            return await _held(request, services, seen, words[1:])
        named = {target.name for target in self.named_targets(words, services)}
        return _listed(services, [each for each in seen if not named or each.target in named])


def _may(request: Request, services: Services, name: str) -> bool:
    target = services.targets.get(name)
    # One of a target that is no longer in maint.yaml is for those who may see every environment.
    environment = target.environment if target else NOWHERE
    return request.access.may_touch(BackupsCommand.word, environment, name if target else "")


async def _held(
    request: Request, services: Services, seen: Sequence[Backup], words: tuple[str, ...]
) -> Reply:
    usage = f'{request.program} backups hold ID on|off because "the reason"'
    if len(words) < 2 or words[1].casefold() not in ("on", "off"):
        raise UsageError(f"Say: {usage}.")
    found = [each for each in seen if len(words[0]) >= 6 and each.id.startswith(words[0].casefold())]
    if len(found) != 1:
        raise UsageError(f"There is no backup {quoted(words[0])} that you may see. `backups` lists them.")
    on, reason = words[1].casefold() == "on", reason_in(words[2:], usage)
    held = partial(rows.hold_by, backup=found[0], by=request.by, on=on, reason=reason, at=services.now())
    changed = await services.records.write(held)
    now = (
        "on hold: it stays until somebody lets it go" if on else "not on hold: it goes when it is old enough"
    )
    text = f"{found[0].name} is {now}." if changed else f"{found[0].name} was so already."
    return Reply(
        title="Backups",
        fallback=text,
        status=Status.OK,
        elements=(Paragraph(text),),
        data={"id": found[0].id, "held": on, "changed": changed},
    )


def _listed(services: Services, seen: Sequence[Backup]) -> Reply:
    series: dict[tuple[str, str, str], list[Backup]] = {}
    for backup in seen:
        series.setdefault((backup.target, backup.database, backup.kind), []).append(backup)
    elements: list[Element] = [
        Paragraph(_told(services, one)) for _, one in sorted(series.items(), key=lambda item: item[0])
    ]
    if not elements:
        elements.append(Paragraph("There is no backup that you may see: the runbook backup-daily takes one."))
    else:
        elements.append(Note("`backups hold ID on because …` keeps one, whatever the retention says."))
    return Reply(
        title="Backups",
        fallback=f"{counted(len(seen), 'backup')} of {counted(len(series), 'database')}",
        elements=tuple(elements),
        details=(Listing("backups.txt", "\n".join(_line(each) for each in seen)),) if seen else (),
        data={"backups": [_data(each) for each in seen]},
    )


def _told(services: Services, one: Sequence[Backup]) -> tuple[Span, ...]:
    now, newest = services.now(), one[0]
    proofs = [each.proven_at for each in one if each.proven_at]
    kind = "" if newest.kind == "full" else f", {newest.kind}"
    old = " (late)" if now - newest.taken_at > OLD else ""
    last = f"last proven restore {ago(max(proofs), now)}" if proofs else "never restored for a proof"
    doubt = " (long ago)" if proofs and now - max(proofs) > LONG_AGO else ""
    pieces = [
        strong(f"{newest.target} · {newest.database}{kind}"),
        Span(f"  {counted(len(one), 'backup')}, newest {ago(newest.taken_at, now)}{old}, {last}{doubt}"),
    ]
    for each in one[:MOST]:
        held = f", on hold: {each.hold}" if each.hold else ""
        pieces += [
            Span("\n  "),
            code(each.id[:8]),
            Span(f"  {each.taken_at:%Y-%m-%d %H:%M} UTC  {show(each.bytes, 'bytes')}{held}"),
        ]
    return tuple(pieces)


def _line(backup: Backup) -> str:
    proven = f"proven {backup.proven_at:%Y-%m-%d}" if backup.proven_at else "not proven"
    where = " and ".join(place["where"] for place in backup.places)
    held = f"  on hold: {backup.hold}" if backup.hold else ""
    return (
        f"{backup.id}  {backup.taken_at:%Y-%m-%d %H:%M} UTC  {show(backup.bytes, 'bytes'):>10}  {proven}  "
        f"{where}{held}"
    )


def _data(backup: Backup) -> dict[str, object]:
    return {
        "id": backup.id,
        "target": backup.target,
        "database": backup.database,
        "kind": backup.kind,
        "taken_at": backup.taken_at.isoformat(),
        "bytes": backup.bytes,
        "sha256": backup.sha256,
        "encrypted": backup.encrypted,
        "places": [dict(place) for place in backup.places],
        "proven_at": backup.proven_at.isoformat() if backup.proven_at else None,
        "hold": backup.hold,
    }
