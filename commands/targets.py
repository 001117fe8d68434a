"""`/maint targets`: the systems that are looked after."""

from commands.command import Command, Progress, Request, Services
from commands.needs import Needs
from commands.reply import Element, Note, Paragraph, Reply, Span, code, strong
from commands.words import find_target
from runbooks.errors import UsageError
from runbooks.targets import TargetBase


class Targets(Command):
    """Lists the targets that the asker may see, and how each is reached."""

    word = "targets"
    summary = "The systems that are looked after"
    usage = "[target …]"
    about = (
        "Lists the targets in maint.yaml that you may see: name, type, environment, and how each is reached."
    )
    examples = (("targets", "all of them"), ("targets db", "only db"))
    needs = Needs.WORD
    instant = True

    def named_targets(self, words: tuple[str, ...], services: Services) -> tuple[TargetBase, ...]:
        """The targets named."""
        return tuple(find_target(word, services.targets) for word in words)

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The list, by environment and name."""
        if not services.targets:
            raise UsageError("maint.yaml names no target yet. Its comments show how.")
        chosen = self.named_targets(words, services) or tuple(services.targets.values())
        seen = sorted(
            (
                target
                for target in chosen
                if request.access.may_touch(self.word, target.environment, target.name)
            ),
            key=lambda target: (target.environment, target.name),
        )
        elements: list[Element] = [Paragraph(_describe(target)) for target in seen]
        if hidden := len(chosen) - len(seen):
            elements.append(Note(f"{hidden} more that you may not see from here."))
        return Reply(
            title="Targets",
            fallback="Targets: " + ", ".join(target.name for target in seen),
            elements=tuple(elements),
            data={
                "targets": [
                    {
                        "name": target.name,
                        "type": target.model_dump(include={"type"})["type"],
                        "environment": target.environment,
                        "where": target.where(),
                        "description": target.description,
                    }
                    for target in seen
                ]
            },
        )


def _describe(target: TargetBase) -> tuple[Span, ...]:
    kind = target.model_dump(include={"type"})["type"]
    description = f"  {target.description}" if target.description else ""
    return (
        strong(target.name),
        Span(f"  {kind}, {target.environment}  "),
        code(target.where()),
        Span(description),
    )
