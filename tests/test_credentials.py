"""Slack's tokens come from the environment, and what is wrong with them is said without them."""

from pathlib import Path
from typing import Any

import pytest

from bot.credentials import old_secret_keys, secret_key, slack_credentials
from runbooks.errors import ConfigError

BOT = "xoxb-" + "1" * 12
APP = "xapp-" + "1" * 12
SIGNING = "0123456789abcdef0123456789abcdef"


def test_slack_credentials_come_from_the_environment_or_from_files(tmp_path: Path) -> None:
    """A token is a variable, or the file that NAME_FILE names; only what the mode needs is taken."""
    (tmp_path / "app").write_text(APP + "\n")
    environ = {
        "SLACK_BOT_TOKEN": BOT,
        "SLACK_APP_TOKEN_FILE": str(tmp_path / "app"),
        "SLACK_SIGNING_SECRET": SIGNING,
    }
    socket = slack_credentials(environ, "socket")
    http = slack_credentials(environ, "http")

    assert socket.app_token is not None
    assert socket.app_token.get_secret_value() == APP
    assert socket.secrets() == (BOT, APP)
    assert http.app_token is None
    assert http.secrets() == (BOT, SIGNING)
    assert socket.api_url == "https://slack.com/api/"
    assert not any(secret in repr((socket, http)) for secret in (BOT, APP, SIGNING))


def test_the_address_of_slacks_api_ends_in_a_slash() -> None:
    """As the SDK wants it, however it was written."""
    environ = {"SLACK_BOT_TOKEN": BOT, "SLACK_APP_TOKEN": APP, "SLACK_API_URL": "http://localhost:1/api"}

    assert slack_credentials(environ, "socket").api_url == "http://localhost:1/api/"


@pytest.mark.parametrize(
    ("mode", "environ", "expected"),
    [
        (
            "socket",
            {},
            [
                (
                    "SLACK_APP_TOKEN: is not set, and neither is SLACK_APP_TOKEN_FILE (at https://api.slack.com/apps:"
                    " your app, Basic Information, App-Level Tokens, one with connections:write (xapp-…))"
                ),
                (
                    "SLACK_BOT_TOKEN: is not set, and neither is SLACK_BOT_TOKEN_FILE (at https://api.slack.com/apps:"
                    " your app, OAuth & Permissions, Bot User OAuth Token (xoxb-…))"
                ),
            ],
        ),
        (
            "http",
            {"SLACK_BOT_TOKEN": BOT},
            [
                (
                    "SLACK_SIGNING_SECRET: is not set, and neither is SLACK_SIGNING_SECRET_FILE"
                    " (at https://api.slack.com/apps: your app, Basic Information, App Credentials,"
                    " Signing Secret)"
                ),
            ],
        ),
        (
            "socket",
            {"SLACK_BOT_TOKEN": APP, "SLACK_APP_TOKEN": "x-1234567", "SLACK_API_URL": "slack.com"},
            [
                "SLACK_API_URL: an address starts with https:// (or http://) and names a host",
                (
                    "SLACK_APP_TOKEN: is not what Slack gives out (at https://api.slack.com/apps:"
                    " your app, Basic Information, App-Level Tokens, one with connections:write (xapp-…))"
                ),
                (
                    "SLACK_BOT_TOKEN: holds what belongs into SLACK_APP_TOKEN (at https://api.slack.com/apps:"
                    " your app, OAuth & Permissions, Bot User OAuth Token (xoxb-…))"
                ),
            ],
        ),
        (
            "socket",
            {"SLACK_BOT_TOKEN": BOT, "SLACK_BOT_TOKEN_FILE": "/x", "SLACK_APP_TOKEN_FILE": "/no/such"},
            [
                "SLACK_APP_TOKEN: cannot read /no/such: No such file or directory",
                "SLACK_BOT_TOKEN: is set, and SLACK_BOT_TOKEN_FILE too (set one of them)",
            ],
        ),
    ],
)
def test_wrong_slack_credentials_are_all_named_at_once(
    mode: Any, environ: dict[str, str], expected: list[str]
) -> None:
    """Each with the place where Slack shows the right one, and none with its value."""
    with pytest.raises(ConfigError) as caught:
        slack_credentials(environ, mode)

    assert [str(fault) for fault in caught.value.faults] == expected


def test_the_key_of_secret_parameters_may_stand_in_a_file(tmp_path: Path) -> None:
    """Or in the variable, or nowhere; not in both."""
    (tmp_path / "key").write_text("a key of thirty-two letters and more\n")
    file = str(tmp_path / "key")

    assert secret_key({}).get_secret_value() == ""
    assert secret_key({"MAINT_SECRET_KEY": "abc"}).get_secret_value() == "abc"
    assert secret_key({"MAINT_SECRET_KEY_FILE": file}).get_secret_value() == (
        "a key of thirty-two letters and more"
    )
    with pytest.raises(ConfigError, match="MAINT_SECRET_KEY_FILE too"):
        secret_key({"MAINT_SECRET_KEY": "abc", "MAINT_SECRET_KEY_FILE": file})


def test_older_keys_stand_one_a_line(tmp_path: Path) -> None:
    """In the variable or in a file; each as long as a key, and never without one that is used now."""
    keys = ["the key of last year, all 32 of them", "the key before that, with a , in it"]
    (tmp_path / "old").write_text("\n".join(keys) + "\n\n")
    now = {"MAINT_SECRET_KEY": "a key of thirty-two letters and more"}

    assert old_secret_keys({}) == ()
    for given in (
        {"MAINT_SECRET_KEY_OLD": "\n".join(keys)},
        {"MAINT_SECRET_KEY_OLD_FILE": str(tmp_path / "old")},
    ):
        assert [key.get_secret_value() for key in old_secret_keys(now | given)] == keys
    with pytest.raises(ConfigError, match="fewer than 32 characters"):
        old_secret_keys(now | {"MAINT_SECRET_KEY_OLD": "short"})
    with pytest.raises(ConfigError, match="MAINT_SECRET_KEY is not"):
        old_secret_keys({"MAINT_SECRET_KEY_OLD": keys[0]})
