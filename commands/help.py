"""`/maint help [command]`: what can be typed here."""

from commands.command import Command, Group, Progress, Request, Services
from commands.needs import Needs
from commands.refusals import refusal
from commands.reply import Element, Note, Paragraph, Reply, Span, code, strong
from commands.words import quoted
from runbooks.errors import Refused, UsageError
from runbooks.nearest import nearest
from runbooks.targets import TargetBase


class Help(Command):
    """Lists the commands that the asker may use, or explains one of them."""

    word = "help"
    summary = "What can be typed here"
    usage = "[command]"
    about = "Lists the commands that you may use. With a command's name it explains that one, with examples."
    examples = (("help", "every command that you may use"), ("help health", "all about one of them"))
    needs = Needs.NOTHING
    instant = True
    group = Group.ABOUT

    def named_targets(self, words: tuple[str, ...], services: Services) -> tuple[TargetBase, ...]:
        """None: which words there are depends on who asks."""
        return ()

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The list, or the one command."""
        usable = [command for command in services.commands.values() if not refusal(request, command)]
        if words:
            return _explain(request, _found(request, services, words[0], usable))
        elements: list[Element] = []
        for group in Group:
            members = [command for command in usable if command.group is group]
            if members:
                elements.append(Paragraph((strong(group.value),)))
                elements += [_brief(request, command) for command in members]
        hidden = len(services.commands) - len(usable)
        if hidden:
            more = "1 more command needs" if hidden == 1 else f"{hidden} more commands need"
            elements.append(
                Note(f"{more} a grant that you do not have here. {request.program} whoami shows yours.")
            )
        return Reply(
            title="Maint",
            fallback="Maint: " + ", ".join(command.word for command in usable),
            elements=tuple(elements),
            data={"commands": [command.word for command in usable]},
        )


def _found(request: Request, services: Services, word: str, usable: list[Command]) -> Command:
    """The command of that word. Raises UsageError with the nearest that is open, Refused when it is not."""
    found = services.commands.get(word.casefold())
    if found is None:
        words = [command.word for command in usable]
        meant = nearest(word, words)
        hint = f"Did you mean {meant}?" if meant else f"There are: {', '.join(words)}."
        raise UsageError(f"There is no command {quoted(word)}. {hint}")
    if why := refusal(request, found):
        raise Refused(why)
    return found


def _brief(request: Request, command: Command) -> Paragraph:
    return Paragraph((code(f"{request.program} {_line(command)}"), Span(f"  {command.summary}")))


def _line(command: Command) -> str:
    return f"{command.word} {command.usage}".strip()


def _explain(request: Request, command: Command) -> Reply:
    program = request.program
    examples = [
        Paragraph((code(f"{program} {typed}"), Span(f"  {effect}"))) for typed, effect in command.examples
    ]
    grant = "It needs a grant in maint.yaml."
    if command.by_runbook:
        grant = "It needs a grant of the runbook in maint.yaml."
    if command.everyone:
        grant = "Everybody in the workspace may type it; what it is used on may still be refused."
    return Reply(
        title=f"{program} {command.word}",
        fallback=f"{program} {_line(command)}: {command.summary}",
        elements=(
            Paragraph((strong(command.summary), Span("  "), code(f"{program} {_line(command)}"))),
            Paragraph(command.about),
            *examples,
            Note(grant),
        ),
        data={"command": command.word, "usage": _line(command), "about": command.about},
    )
