"""The words people type, one file each; no Slack, no SQL. One line here registers a command."""

from commands.command import Command
from commands.health import Health
from commands.help import Help
from commands.targets import Targets
from commands.whoami import WhoAmI

_ALL: tuple[Command, ...] = (Health(), Targets(), WhoAmI(), Help())

COMMANDS: dict[str, Command] = {command.word: command for command in _ALL}
