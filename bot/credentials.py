"""Slack's tokens: from the environment or from files that it names, never from maint.yaml."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from runbooks.engine.sealing import OLD_VARIABLE, SHORTEST_KEY, VARIABLE
from runbooks.errors import ConfigError, Fault
from runbooks.proof.signing import VARIABLE as AUDIT_VARIABLE
from runbooks.proof.signing import SigningKey, make_key
from runbooks.scrub import SHORTEST
from runbooks.spec.references import BrokenReference, read_secret

SLACK_API = "https://slack.com/api/"

#: Variable -> (how it begins, where a person finds it at api.slack.com/apps).
_FOUND = {
    "SLACK_BOT_TOKEN": ("xoxb-", "your app, OAuth & Permissions, Bot User OAuth Token (xoxb-…)"),
    "SLACK_APP_TOKEN": (
        "xapp-",
        "your app, Basic Information, App-Level Tokens, one with connections:write (xapp-…)",
    ),
    "SLACK_SIGNING_SECRET": ("", "your app, Basic Information, App Credentials, Signing Secret"),
}


@dataclass(frozen=True, kw_only=True)
class SlackCredentials:
    """What Slack knows us by. Socket Mode needs the app's token, HTTP the signing secret."""

    bot_token: SecretStr
    app_token: SecretStr | None
    signing_secret: SecretStr | None
    api_url: str  # ends in /

    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown."""
        held = (self.bot_token, self.app_token, self.signing_secret)
        return tuple(secret.get_secret_value() for secret in held if secret)


def slack_credentials(environ: Mapping[str, str], mode: Literal["socket", "http"]) -> SlackCredentials:
    """What that mode needs; raises ConfigError with everything that is missing or wrong. Blocks."""
    faults: list[Fault] = []
    tokens: dict[str, SecretStr] = {}
    for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN" if mode == "socket" else "SLACK_SIGNING_SECRET"):
        try:
            tokens[name] = SecretStr(_checked(name, _value(name, environ)))
        except BrokenReference as error:
            faults.append(Fault(name, 0, 0, error.message, error.hint))
    api_url = slack_api_url(environ)
    if not _is_http(api_url):
        faults.append(
            Fault("SLACK_API_URL", 0, 0, "an address starts with https:// (or http://) and names a host")
        )
    if faults:
        raise ConfigError(faults)
    return SlackCredentials(
        bot_token=tokens["SLACK_BOT_TOKEN"],
        app_token=tokens.get("SLACK_APP_TOKEN"),
        signing_secret=tokens.get("SLACK_SIGNING_SECRET"),
        api_url=api_url,
    )


def optional_bot_token(environ: Mapping[str, str]) -> SecretStr | None:
    """The bot's token for who can do without it: None when it is missing or cannot be one. Blocks."""
    try:
        return SecretStr(_checked("SLACK_BOT_TOKEN", _value("SLACK_BOT_TOKEN", environ)))
    except BrokenReference:
        return None


def slack_api_url(environ: Mapping[str, str]) -> str:
    """Where Slack's methods are; it ends in /."""
    return (environ.get("SLACK_API_URL") or SLACK_API).rstrip("/") + "/"


def slack_secrets(environ: Mapping[str, str]) -> list[str]:
    """Every credential that is there, right or wrong, so that none of them is ever shown. Blocks."""
    found = []
    for name in _FOUND:
        try:
            found.append(_value(name, environ))
        except BrokenReference:
            continue  # whoever needs it will say so
    return found


def secret_key(environ: Mapping[str, str]) -> SecretStr:
    """What encrypts the secret parameters of runs; empty when there is none. Raises ConfigError. Blocks."""
    try:
        return SecretStr(_given(VARIABLE, environ))
    except BrokenReference as error:
        raise ConfigError([Fault(VARIABLE, 0, 0, error.message, error.hint)]) from error


def old_secret_keys(environ: Mapping[str, str]) -> tuple[SecretStr, ...]:
    """The keys from before, one a line, that still open what they encrypted. Raises ConfigError. Blocks."""
    try:
        keys = [line.strip() for line in _given(OLD_VARIABLE, environ).splitlines()]
        if any(0 < len(key) < SHORTEST_KEY for key in keys):
            raise BrokenReference(
                f"holds a key of fewer than {SHORTEST_KEY} characters", "older keys stand in it one a line"
            )
        if any(keys) and not _given(VARIABLE, environ):
            raise BrokenReference(
                f"is set, and {VARIABLE} is not",
                f"what is new is encrypted with {VARIABLE}; the older keys only open",
            )
    except BrokenReference as error:
        raise ConfigError([Fault(OLD_VARIABLE, 0, 0, error.message, error.hint)]) from error
    return tuple(SecretStr(key) for key in keys if key)


def audit_key(environ: Mapping[str, str]) -> tuple[SigningKey | None, SecretStr]:
    """What signs the audit log's checkpoints, if there is one, and its text, never to be shown. Raises
    ConfigError. Blocks."""
    try:
        text = _given(AUDIT_VARIABLE, environ)
        return (SigningKey(text) if text else None), SecretStr(text)
    except BrokenReference as error:
        raise ConfigError([Fault(AUDIT_VARIABLE, 0, 0, error.message, error.hint)]) from error
    except ValueError as error:
        raise ConfigError([Fault(AUDIT_VARIABLE, 0, 0, str(error))]) from None


def audit_key_file(path: Path) -> str:
    """The public key of the private one in that file, which is made if there is none. Raises ConfigError."""
    text = make_key()
    try:
        with suppress(FileExistsError):
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(f"{text}\n", encoding="ascii")
        return SigningKey(path.read_text(encoding="ascii")).public
    except OSError as error:
        raise ConfigError([Fault(str(path), 0, 0, f"cannot be written or read: {error.strerror}")]) from error
    except ValueError:
        fault = Fault(str(path), 0, 0, "holds no key of the audit log", "name a file that is not there yet")
        raise ConfigError([fault]) from None


def _value(name: str, environ: Mapping[str, str]) -> str:
    value = _given(name, environ)
    if not value:
        file = environ.get(f"{name}_FILE", "")
        where = f"{name}_FILE names an empty file" if file else f"is not set, and neither is {name}_FILE"
        raise BrokenReference(where, f"at https://api.slack.com/apps: {_FOUND[name][1]}")
    return value


def _given(name: str, environ: Mapping[str, str]) -> str:
    direct, file = environ.get(name, "").strip(), environ.get(f"{name}_FILE", "")
    if direct and file:
        raise BrokenReference(f"is set, and {name}_FILE too", "set one of them")
    return read_secret(Path(file)).strip() if file else direct


def _checked(name: str, value: str) -> str:
    beginning, place = _FOUND[name]
    others = [
        other for other, (start, _) in _FOUND.items() if start and other != name and value.startswith(start)
    ]
    if others:
        raise BrokenReference(
            f"holds what belongs into {others[0]}", f"at https://api.slack.com/apps: {place}"
        )
    if not value.startswith(beginning) or len(value) < SHORTEST or not value.isprintable():
        raise BrokenReference("is not what Slack gives out", f"at https://api.slack.com/apps: {place}")
    return value


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
