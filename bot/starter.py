"""`maint init`: writes a commented maint.yaml that starts as it is."""

import re
from collections.abc import Sequence
from pathlib import Path

from runbooks.errors import UsageError

_TEMPLATE = Path(__file__).with_name("starter.yaml")
_USER = re.compile(r"[UW][A-Z0-9]+")
_CHANNEL = re.compile(r"(?P<name>[a-z][a-z0-9-]*)=(?P<id>[CG][A-Z0-9]+)")

_CHANNELS = """\
## Channels by names of your own, for grants and reports. The id is at the end of a channel's details.
slack:
  channels: {{{channels}}}

## Where trouble is shown, from firing to resolved (docs/alerts.md).
alerts: {{channel: {alerts}}}
"""
_NO_CHANNELS = """\
## Channels by names of your own, for grants and reports. The id is at the end of a channel's details.
# slack:
#   channels: {ops: C0123ABCD, alerts: C0456EFGH}
# alerts: {channel: alerts}  ## where trouble is shown, from firing to resolved (docs/alerts.md)
"""
_PEOPLE = """\
## Who may do what. Nobody may do anything that is not granted here.
roles:
  admin:
    members: [{admins}]
  ## Who approves what the shipped runbooks roll out; at least two, since nobody approves their own run:
  # sre:
  #   members: [U0123ABCD, '@sre']
  ## Whom the policies that ship call when nobody takes an alert, beside who is on call (docs/escalation.md):
  devops:
    members: [{admins}]
  engineering:
    members: [{admins}]
## Who is on call: a week each, in this order.
rotations:
  oncall:
    people: [{admins}]
grants:
  - {{role: admin, commands: ['*'], runbooks: ['*'], channels: ['*', direct]}}
  ## Somebody else's yes before it begins; and a no that wins over every grant:
  # - {{role: admin, runbooks: [scale-service], approval: {{by: [U0123ABCD, U0456EFGH]}}}}
  # - {{role: admin, runbooks: [restart-service], environments: [production], deny: true}}
"""
_NOBODY = """\
## Who may do what. NOBODY CAN DO ANYTHING IN SLACK until a role has members and a grant: take the
## "# " away, and put your own Slack user id there (your profile, the three dots, Copy member ID).
# roles:
#   admin:
#     members: [U0123ABCD]
# grants:
#   - {role: admin, commands: ['*'], runbooks: ['*'], channels: ['*', direct]}
## Who is on call, a week each: the policies that ship call them, and the roles devops and engineering.
# rotations:
#   oncall:
#     people: [U0123ABCD, U0456EFGH]
"""


def write_starter(folder: Path, admins: Sequence[str], channels: Sequence[str]) -> Path:
    """Writes maint.yaml into that folder, which is made if need be, and returns its path. Blocks.

    `admins` are Slack user ids, `channels` are `NAME=C…`. Raises UsageError for others, when there is a
    maint.yaml already, and when it cannot be written.
    """
    for admin in admins:
        if not _USER.fullmatch(admin):
            raise UsageError(
                f"{admin!r} is no Slack user id. It looks like U0123ABCD: profile, ⋮, Copy member ID."
            )
    named = {match["name"]: match["id"] for match in map(_channel, channels)}
    if len(named) < len(channels):
        raise UsageError("Two channels have the same name.")
    slack, people = _NO_CHANNELS, _NOBODY
    if named:
        alerts = "alerts" if "alerts" in named else next(iter(named))
        listed = ", ".join(f"{name}: {id_}" for name, id_ in named.items())
        slack = _CHANNELS.format(channels=listed, alerts=alerts)
    if admins:
        people = _PEOPLE.format(admins=", ".join(dict.fromkeys(admins)))
    text = _TEMPLATE.read_text(encoding="utf-8")
    path = folder / "maint.yaml"
    _write(path, text.replace("{slack}\n", slack + "\n").replace("{people}\n", people + "\n"))
    return path


def _channel(argument: str) -> re.Match[str]:
    match = _CHANNEL.fullmatch(argument)
    if match is None or match["name"] == "direct":
        raise UsageError(
            f"{argument!r} is no channel. Write NAME=C0123ABCD: a name of your own (small letters, digits "
            "and dashes, not `direct`), and the id at the end of the channel's details in Slack."
        )
    return match


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"Cannot make the folder {path.parent}: {error.strerror}.") from error
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"There is a file {path} already; it was left as it is.") from None
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {error.strerror}.") from error
    try:
        with file:
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)  # half a file would keep the next attempt from writing it
        raise UsageError(f"Cannot write {path}: {error.strerror}.") from error
