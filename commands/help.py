"""`/maint help [command]`: what can be typed here."""

from commands.command import Command, Group, Progress, Request, Services, may_use
from commands.reply import Element, Note, Paragraph, Reply, Span, code, strong
from commands.words import quoted
from runbooks.errors import UsageError
from runbooks.nearest import nearest
from runbooks.targets import TargetBase


class Help(Command):
    """Lists the commands that the asker may use, or explains one."""

    word = "help"
    summary = "What can be typed here"
    usage = "[command]"
    about = "Lists the commands that you may use. With a command's name it explains that one, with examples."
    examples = (("help", "every command that you may use"), ("help health", "all about one of them"))
    everyone = True
    instant = True
    group = Group.ABOUT

    def named_targets(self, words: tuple[str, ...], services: Services) -> tuple[TargetBase, ...]:
        """None. Refuses the name of a command that there is not, with the nearest one."""
        if words and words[0].casefold() not in services.commands:
            meant = nearest(words[0], services.commands)
            hint = f"Did you mean {meant}?" if meant else f"There are: {', '.join(services.commands)}."
            raise UsageError(f"There is no command {quoted(words[0])}. {hint}")
        return ()

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The list, or the one command."""
        if words:
            return _explain(request, services.commands[words[0].casefold()])
        usable = [command for command in services.commands.values() if may_use(request.access, command)]
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


def _brief(request: Request, command: Command) -> Paragraph:
    return Paragraph((code(f"{request.program} {_line(command)}"), Span(f"  {command.summary}")))


def _line(command: Command) -> str:
    return f"{command.word} {command.usage}".strip()


def _explain(request: Request, command: Command) -> Reply:
    program = request.program
    examples = [
        Paragraph((code(f"{program} {typed}"), Span(f"  {effect}"))) for typed, effect in command.examples
    ]
    grant = "In Slack it needs a grant in maint.yaml."
    if command.by_runbook:
        grant = "In Slack it needs a grant of the runbook in maint.yaml."
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
