"""Who somebody at the terminal is in Slack: maint.yaml says it, and Slack what it alone knows."""

from pathlib import Path

import pytest

from bot.logins import Login
from bot.sandbox import Sandbox
from bot.settings import load_settings
from runbooks.errors import ConfigError, Refused
from runbooks.spec.library import SHIPPED

SETTINGS = """\
roles:
  sre: {members: ['@sre']}
  dba: {members: [dba@example.com]}
  admin: {members: [U00000SRE1]}
logins: {alice@bastion: U00000SRE1, mallory@bastion: U0NOBODY0X, dora@bastion: U000000DBA}
"""


def login(tmp_path: Path, name: str, environ: dict[str, str] | None = None, text: str = SETTINGS) -> Login:
    (tmp_path / "maint.yaml").write_text(text)
    return Login(name, load_settings(tmp_path / "maint.yaml", {}, library=SHIPPED), environ or {})


async def test_what_maint_yaml_says_is_not_asked_of_slack(tmp_path: Path) -> None:
    """By the person's own id, and by roles that have it; there is no Slack here."""
    alice = login(tmp_path, "alice@bastion")

    assert alice.user == "U00000SRE1"
    assert await alice.holds(["sre", "admin", "U00000SRE1"]) == {"admin", "U00000SRE1"}
    assert await alice.holds(["U0OTHER"]) == frozenset()


async def test_a_login_that_nobody_knows_holds_nothing(tmp_path: Path) -> None:
    """The reason says what is missing in maint.yaml."""
    with pytest.raises(Refused, match=r"`logins: \{eve@bastion: U0123ABCD\}`"):
        await login(tmp_path, "eve@bastion").holds(["admin"])


@pytest.mark.parametrize("entries", [["sre"], ["@sre"], ["S0GROUP"], ["dba"]])
async def test_without_a_token_usergroups_and_addresses_are_not_guessed(
    tmp_path: Path, entries: list[str]
) -> None:
    """The reason says which, and that SLACK_BOT_TOKEN would answer it."""
    with pytest.raises(Refused, match="only Slack knows, and there is no SLACK_BOT_TOKEN"):
        await login(tmp_path, "alice@bastion").holds(entries)


async def test_with_a_token_slack_is_asked(tmp_path: Path, sandbox: Sandbox) -> None:
    """Usergroups by their members, addresses by the person's own; asked once for one question."""
    environ = sandbox.environment()
    alice, dora = login(tmp_path, "alice@bastion", environ), login(tmp_path, "dora@bastion", environ)

    assert await alice.holds(["sre"]) == {"sre"}
    assert await alice.holds(["dba"]) == frozenset()
    assert await dora.holds(["dba", "sre"]) == {"dba"}


async def test_an_account_that_slack_does_not_know_holds_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    """A wrong id in maint.yaml is nobody."""
    with pytest.raises(Refused):
        await login(tmp_path, "mallory@bastion", sandbox.environment()).holds(["sre"])


async def test_a_slack_that_is_away_grants_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    """Nobody knows, so nobody holds it; what maint.yaml says still holds."""
    environ = {**sandbox.environment(), "SLACK_API_URL": "http://127.0.0.1:9/api/"}
    alice = login(tmp_path, "alice@bastion", environ)

    with pytest.raises(Refused, match="cannot be asked of Slack just now"):
        await alice.holds(["sre"])
    assert await alice.holds(["admin"]) == {"admin"}


@pytest.mark.parametrize(
    ("logins", "said"),
    [
        ("{alice: U0123ABCD}", "a login is user@host"),
        ("{alice@bastion: alice}", "a user's id looks like U0123ABCD"),
        ("{alice@bastion: S0GROUP}", "a user's id looks like U0123ABCD"),
    ],
)
def test_a_login_is_checked_when_the_file_is_read(tmp_path: Path, logins: str, said: str) -> None:
    """A typo would be a person who cannot approve when it matters."""
    with pytest.raises(ConfigError, match=said):
        login(tmp_path, "alice@bastion", text=f"logins: {logins}\n")
