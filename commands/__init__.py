"""The words people type, one file each; no Slack, no SQL. One line here registers a command."""

from commands.access import AccessCommand
from commands.alerts import AlertsCommand
from commands.answer import Answer
from commands.approve import Approve
from commands.audit import AUDIT
from commands.backups import BackupsCommand
from commands.cancel import Cancel
from commands.command import Command
from commands.digest import DigestCommand
from commands.freeze import FreezeCommand
from commands.health import Health
from commands.help import Help
from commands.oncall import OnCall
from commands.plan import Plan
from commands.reject import Reject
from commands.resume import Resume
from commands.review import Review
from commands.rollback import Rollback
from commands.run import Run
from commands.runbooks import Runbooks
from commands.runs import RunsCommand
from commands.schedule import ScheduleCommand
from commands.stop import Stop
from commands.targets import Targets
from commands.unlock import Unlock
from commands.whoami import WhoAmI
from runbooks.access import BREAK_GLASS

_ALL: tuple[Command, ...] = (
    Health(),
    DigestCommand(),
    AlertsCommand(),
    Targets(),
    BackupsCommand(),
    Runbooks(),
    RunsCommand(),
    OnCall(),
    AUDIT,
    Plan(),
    Run(),
    Cancel(),
    Rollback(),
    ScheduleCommand(),
    Approve(),
    Reject(),
    Answer(),
    Review(),
    FreezeCommand(),
    Stop(),
    Resume(),
    Unlock(),
    WhoAmI(),
    AccessCommand(),
    Help(),
)

COMMANDS: dict[str, Command] = {command.word: command for command in _ALL}

#: What a grant may name under `commands:`.
GRANTABLE: tuple[str, ...] = (*COMMANDS, BREAK_GLASS)
