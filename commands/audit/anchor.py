"""`/maint audit anchor`: signs the head of the chain now, beside the daily anchor."""

from commands.audit.sub_word import SubWord
from commands.command import Progress, Request, Services
from commands.needs import Needs
from commands.reply import Element, Listing, Note, Paragraph, Reply
from runbooks.ids import new_id
from runbooks.proof.places import PlaceError
from runbooks.status import Status


class Anchor(SubWord):
    """Makes an anchor, and hands it to every place."""

    word = "anchor"
    summary = "Signs the log as it is now, and hands that to every place that keeps anchors"
    usage = ""
    examples = (("anchor", "signs the log as it is now"),)
    needs = Needs.WORD
    everywhere = True

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The anchor, to be kept wherever the person likes too."""
        made = await services.proof.anchor(f"asked-{new_id()}", request.by)
        if made is None:
            return Reply(
                title="No anchor", fallback="Nothing is in the audit log yet.", status=Status.UNKNOWN
            )
        elements: list[Element] = [
            Paragraph(f"The audit log up to event {made.seq:,} is signed."),
            Listing("Keep this outside the database", made.line),
        ]
        status = Status.OK
        for place in services.proof.places:
            try:
                await services.proof.hand_over(place)
                elements.append(Note(f"{place.name} has it."))
            except PlaceError as error:
                status = Status.WARNING
                elements.append(Note(f"{error} It is tried again by a Maint that serves."))
        return Reply(
            title="Anchored",
            fallback=f"The audit log up to event {made.seq:,} is signed.",
            status=status,
            elements=tuple(elements),
            data={"seq": made.seq, "hash": made.hash, "line": made.line},
        )
