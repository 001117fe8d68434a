"""Who somebody at the terminal is in Slack: maint.yaml says it, and Slack what it alone knows."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bot.logins import Login
from bot.lookup import Lookup
from bot.sandbox import Sandbox
from bot.settings import load_settings
from runbooks.errors import ConfigError, Refused
from runbooks.records.records import Records
from runbooks.spec.library import SHIPPED

SETTINGS = """\
roles:
  sre: {members: ['@sre']}
  dba: {members: [dba@example.com]}
  admin: {members: [U00000SRE1]}
logins: {alice@bastion: U00000SRE1, mallory@bastion: U0NOBODY0X, dora@bastion: U000000DBA}
"""


#: Makes a login of that name, with the tokens of that environment.
Make = Callable[..., Awaitable[Login]]


@pytest.fixture
async def login(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes a login of that name, with the tokens of that environment."""
    (tmp_path / "maint.yaml").write_text(SETTINGS)
    loaded = load_settings(tmp_path / "maint.yaml", {}, library=SHIPPED)
    records = await Records.open(f"sqlite:///{tmp_path}/maint.db")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(records.close)

        async def make(name: str, environ: Mapping[str, str] | None = None) -> Login:
            lookup = Lookup(loaded.settings, environ or {})
            await stack.enter_async_context(lookup.open(records.record))
            return Login(name, loaded, lookup)

        yield make


async def test_what_maint_yaml_says_is_not_asked_of_slack(login: Make) -> None:
    """By the person's own id, and by roles that have it; there is no Slack here."""
    alice = await login("alice@bastion")

    assert alice.user == "U00000SRE1"
    assert await alice.holds(["sre", "admin", "U00000SRE1"]) == {"admin", "U00000SRE1"}
    assert await alice.holds(["U0OTHER"]) == frozenset()


async def test_a_login_that_nobody_knows_holds_nothing(login: Make) -> None:
    """The reason says what is missing in maint.yaml."""
    with pytest.raises(Refused, match=r"`logins: \{eve@bastion: U0123ABCD\}`"):
        await (await login("eve@bastion")).holds(["admin"])


@pytest.mark.parametrize("entries", [["sre"], ["@sre"], ["S0GROUP"], ["dba"]])
async def test_without_a_token_usergroups_and_addresses_are_not_guessed(
    login: Make, entries: list[str]
) -> None:
    """The reason says which, and that SLACK_BOT_TOKEN would answer it."""
    with pytest.raises(Refused, match="only Slack knows, and there is no SLACK_BOT_TOKEN"):
        await (await login("alice@bastion")).holds(entries)


async def test_with_a_token_slack_is_asked(login: Make, sandbox: Sandbox) -> None:
    """Usergroups by their members, addresses by the person's own; asked once for one question."""
    environ = sandbox.environment()
    alice, dora = await login("alice@bastion", environ), await login("dora@bastion", environ)

    assert await alice.holds(["sre"]) == {"sre"}
    assert await alice.holds(["dba"]) == frozenset()
    assert await dora.holds(["dba", "sre"]) == {"dba"}


async def test_an_account_that_slack_does_not_know_holds_nothing(login: Make, sandbox: Sandbox) -> None:
    """A wrong id in maint.yaml is nobody."""
    with pytest.raises(Refused):
        await (await login("mallory@bastion", sandbox.environment())).holds(["sre"])


async def test_a_slack_that_is_away_grants_nothing(login: Make, sandbox: Sandbox) -> None:
    """Nobody knows, so nobody holds it; what maint.yaml says still holds."""
    environ = {**sandbox.environment(), "SLACK_API_URL": "http://127.0.0.1:9/api/"}
    alice = await login("alice@bastion", environ)

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
    (tmp_path / "maint.yaml").write_text(f"logins: {logins}\n")
    with pytest.raises(ConfigError, match=said):
        load_settings(tmp_path / "maint.yaml", {}, library=SHIPPED)
