"""`maint doctor`: whether what Maint stands on is as it has to be, and what to do where it is not."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.credentials import SlackCredentials, slack_credentials
from bot.digests import INSTALL, without_charts
from bot.settings import Loaded, load_settings
from bot.slack.app import who_are_we
from bot.slack.client import SlackClient
from bot.slack.examination import TROUBLE, app_token_fault, channel_fault, groups_of, slack_time
from runbooks.engine.sealing import SHORTEST_KEY, VARIABLE
from runbooks.errors import ConfigError, RecordsError, SlackError
from runbooks.proof.signing import VARIABLE as AUDIT_VARIABLE
from runbooks.records.condition import look_at
from runbooks.records.migrate import SchemaState
from runbooks.spec.params import secret_names
from runbooks.status import Status

#: Seconds by which two clocks may differ before it is worth a look.
LONGEST_SKEW = 5.0
#: Seconds that all questions to Slack may take together.
LONGEST_EXAMINATION = 60.0
#: Where the key that signs the audit log's checkpoints comes from.
_EXIT = {Status.OK: 0, Status.SKIPPED: 0, Status.WARNING: 1, Status.UNKNOWN: 2, Status.CRITICAL: 2}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at, what was found, and what to do about it."""

    what: str
    status: Status
    found: str
    do: str = ""

    def __str__(self) -> str:
        line = f"{self.status:<8}  {self.what}: {self.found}"
        return f"{line}\n{'':10}{self.do}" if self.do else line


def exit_code(findings: tuple[Finding, ...]) -> int:
    """0 when all is well, 1 when something is worth a look, 2 when Maint cannot work so, or nobody knows."""
    return max((_EXIT[finding.status] for finding in findings), default=2)


def doctor(
    path: Path,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    *,
    as_json: bool,
    look: Callable[[Loaded], Awaitable[tuple[Finding, ...]]] | None = None,
) -> int:
    """Looks at everything, or as `look` does, says what it found, and returns the exit code. Raises
    ConfigError."""
    loaded = load_settings(path, environ)
    findings = tuple(
        Finding(what=each.what, status=each.status, found=loaded.scrub(each.found), do=each.do)
        for each in asyncio.run(_all(look(loaded) if look else examine(loaded, environ)))
    )
    code = exit_code(findings)
    if as_json:
        say(json.dumps({"exit_code": code, "findings": [asdict(each) for each in findings]}, indent=2))
    else:
        for finding in findings:
            say(str(finding))
    return code


async def _all(looking: Awaitable[tuple[Finding, ...]]) -> tuple[Finding, ...]:
    return await looking


async def examine(loaded: Loaded, environ: Mapping[str, str]) -> tuple[Finding, ...]:
    """Everything there is to look at."""
    return (
        *await _slack(loaded, environ),
        *await asyncio.to_thread(_database, loaded),
        *_keys(loaded),
        *_charts(loaded),
    )


async def _slack(loaded: Loaded, environ: Mapping[str, str]) -> list[Finding]:
    try:
        credentials = await asyncio.to_thread(slack_credentials, environ, loaded.settings.slack.mode)
    except ConfigError as error:
        return [
            Finding(what=fault.path, status=Status.CRITICAL, found=fault.message, do=fault.hint)
            for fault in error.faults
        ]
    loaded.scrub.add(*credentials.secrets())
    findings: list[Finding] = []
    async with AsyncExitStack() as stack:
        client = SlackClient(credentials.bot_token.get_secret_value(), credentials.api_url)
        await stack.enter_async_context(client)
        try:
            async with asyncio.timeout(LONGEST_EXAMINATION):
                await _ask_slack(client, loaded, credentials, findings)
        except SlackError as error:
            findings.append(
                Finding(
                    what="bot token",
                    status=Status.CRITICAL,
                    found=str(error),
                    do="Put the token of your app there; where Slack is away, try again.",
                )
            )
        except TROUBLE as error:
            findings.append(
                Finding(
                    what="Slack",
                    status=Status.UNKNOWN,
                    found=f"it did not answer everything ({type(error).__name__})",
                    do="Try again; what is not listed here was not looked at.",
                )
            )
    return findings


async def _ask_slack(
    client: SlackClient, loaded: Loaded, credentials: SlackCredentials, findings: list[Finding]
) -> None:
    bot = await who_are_we(client.web)
    findings.append(Finding(what="bot token", status=Status.OK, found=f"of {bot.team_name} ({bot.team})"))
    findings.append(_scopes(bot.missing_scopes))
    if credentials.app_token is not None:
        fault = await app_token_fault(client.web, credentials.app_token.get_secret_value())
        findings.append(
            Finding(
                what="app token",
                status=Status.CRITICAL,
                found=f"Slack refused it: {fault}",
                do="Basic Information > App-Level Tokens: one with connections:write, and Socket Mode on.",
            )
            if fault
            else Finding(what="app token", status=Status.OK, found="Slack takes it")
        )
    findings.append(_skew("Slack's clock", await slack_time(client.web)))
    for name, id_ in loaded.settings.slack.channels.items():
        findings.append(_channel(name, id_, await channel_fault(client.web, id_)))
    findings.extend(await group_findings(client, loaded))


def _scopes(missing: tuple[str, ...]) -> Finding:
    if not missing:
        return Finding(what="scopes", status=Status.OK, found="all that the manifest names")
    return Finding(
        what="scopes",
        status=Status.CRITICAL,
        found=f"missing: {', '.join(missing)}",
        do="Put `maint manifest` into the app's settings at api.slack.com/apps, and install the app again.",
    )


def _channel(name: str, id_: str, fault: str) -> Finding:
    what = f"channel {name}"
    match fault:
        case "":
            return Finding(what=what, status=Status.OK, found=f"the bot is in {id_}")
        case "not_in_channel":
            found, do = f"the bot is not in {id_}", "Type `/invite @maint` there."
        case "channel_not_found":
            found = f"{id_} is not there, or private and without the bot"
            do = "Invite the bot there, or put the right id under `slack: channels:`."
        case _:
            found, do = f"Slack does not let the bot look into {id_}: {fault}", "Look at the scopes above."
            return Finding(what=what, status=Status.UNKNOWN, found=found, do=do)
    return Finding(what=what, status=Status.CRITICAL, found=found, do=do)


async def group_findings(client: SlackClient, loaded: Loaded) -> list[Finding]:
    """The usergroups that roles name: one that is not there, or empty, gives nobody its role."""
    try:
        groups = await groups_of(client.web, loaded.settings.roles)
    except TROUBLE as error:
        return [
            Finding(
                what="usergroups",
                status=Status.UNKNOWN,
                found=f"Slack does not list them ({type(error).__name__})",
                do="Usergroups need a paid plan and the scope usergroups:read. Roles can name people by id.",
            )
        ]
    found = []
    for group in groups:
        what = f"role {group.role}"
        if not group.exists:
            said, do = (
                f"there is no usergroup {group.name}",
                "Make it, or name another in maint.yaml.",
            )
        elif group.members == 0:
            said, do = f"nobody is in the usergroup {group.name}", "Add people to it in Slack."
        else:
            members = "an unknown number" if group.members is None else group.members
            found.append(Finding(what=what, status=Status.OK, found=f"{group.name} has {members} members"))
            continue
        found.append(Finding(what=what, status=Status.CRITICAL, found=said, do=do))
    return found


def _skew(what: str, theirs: datetime | None) -> Finding:
    if theirs is None:
        return Finding(what=what, status=Status.SKIPPED, found="it does not say what time it has")
    # Slack says whole seconds: half a second is nobody's fault.
    seconds = (datetime.now(UTC) - theirs).total_seconds()
    if abs(seconds) <= LONGEST_SKEW:
        return Finding(what=what, status=Status.OK, found="agrees with this machine's")
    way = "ahead of" if seconds > 0 else "behind"
    return Finding(
        what=what,
        status=Status.WARNING,
        found=f"this machine's is {abs(seconds):.0f} s {way} it",
        do="Let both be set by NTP: signed requests are refused beyond 300 s, and deadlines are wrong by it.",
    )


def _database(loaded: Loaded) -> list[Finding]:
    url = loaded.settings.database_url()
    file = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:") and not file.exists():
        return [
            Finding(
                what="database",
                status=Status.WARNING,
                found=f"there is no {file.name} yet",
                do="`maint serve` makes it, and so does `maint migrate`.",
            )
        ]
    try:
        condition = look_at(url, loaded.scrub)
    except RecordsError as error:
        return [
            Finding(
                what="database",
                status=Status.CRITICAL,
                found=str(error),
                do="docs/database.md says what Maint needs; /readyz says it while Maint runs.",
            )
        ]
    findings = [Finding(what="database", status=Status.OK, found="it answers"), _schema(condition.schema)]
    if url.startswith("sqlite:"):
        return findings
    findings.append(_skew("the database's clock", condition.now))
    if condition.log_is_open is not None:
        findings.append(_hardened(condition.log_is_open))
    return findings


def _schema(state: SchemaState) -> Finding:
    match state:
        case SchemaState.CURRENT:
            return Finding(what="schema", status=Status.OK, found="it is this version's")
        case SchemaState.BEHIND:
            return Finding(
                what="schema",
                status=Status.WARNING,
                found="it is older than this version",
                do="`maint migrate`, or the next start of `maint serve`, brings it up to date.",
            )
    return Finding(
        what="schema",
        status=Status.CRITICAL,
        found="a newer Maint made it",
        do="Start that version, or restore a backup from before the upgrade.",
    )


def _hardened(log_is_open: bool) -> Finding:
    if not log_is_open:
        return Finding(what="audit log", status=Status.OK, found="our role cannot change what stands in it")
    return Finding(
        what="audit log",
        status=Status.WARNING,
        found="our role could take the triggers away that keep it as it is",
        do="`maint migrate --harden` makes a role that cannot: docs/security.md.",
    )


def _charts(loaded: Loaded) -> list[Finding]:
    found = without_charts(loaded.runbooks)
    if not found:
        return []
    return [
        Finding(
            what="charts",
            status=Status.WARNING,
            found=f"matplotlib is not installed: the digests of {', '.join(found)} have no trends",
            do=f"{INSTALL}.",
        )
    ]


def _keys(loaded: Loaded) -> list[Finding]:
    findings = [
        Finding(what="audit key", status=Status.OK, found="it is set")
        if loaded.audit_key is not None
        else Finding(
            what="audit key",
            status=Status.WARNING,
            found=f"{AUDIT_VARIABLE} is not set: checkpoints of the audit log are not signed",
            do="`maint audit key FILE` makes one; give it to every replica, and keep it out of the database.",
        )
    ]
    secret = sorted(name for name, runbook in loaded.runbooks.items() if secret_names(runbook.params))
    if not secret:
        return findings
    enough = len(loaded.secret_key.get_secret_value()) >= SHORTEST_KEY
    findings.append(
        Finding(what="secret key", status=Status.OK, found=f"it is set, for {', '.join(secret)}")
        if enough
        else Finding(
            what="secret key",
            status=Status.CRITICAL,
            found=f"{VARIABLE} is too short, or not set: nobody can run {', '.join(secret)}",
            do=f"Set it to {SHORTEST_KEY} random characters or more, the same on every replica.",
        )
    )
    return findings
