"""What every hook shares: whom it believes, and what a body comes to."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema

from runbooks.errors import MaintError
from runbooks.spec.model import Name, Spec
from runbooks.targets import TargetBase
from runbooks.watch.policies import Severity
from runbooks.watch.signal import Signal

#: What is known of severities without being told; letters do not matter.
_SEVERITIES: Mapping[str, Severity] = {
    **dict.fromkeys(("critical", "page", "error", "high", "fatal", "emergency", "disaster"), "critical"),
    **dict.fromkeys(("warning", "warn", "medium", "average"), "warning"),
    **dict.fromkeys(("info", "information", "informational", "none", "low", "notice", "debug"), "info"),
}
#: Characters of a token that nobody guesses.
_SHORTEST_TOKEN = 16


class Unreadable(MaintError):
    """The body is not what that hook takes; the text says what it is instead, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a name from outside may mean here."""

    targets: Mapping[str, TargetBase]
    runbooks: Collection[str]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one body says. `group`: which of its sender's alerts it is about; `left_out`: how many of these
    the sender did not send; `unreadable`: how many it did, and nobody can read."""

    signals: tuple[Signal, ...]
    group: str = ""
    left_out: int = 0
    unreadable: int = 0


def _token(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < _SHORTEST_TOKEN:
        raise ValueError(
            f"a token has at least {_SHORTEST_TOKEN} characters: `openssl rand -hex 32` makes one"
        )
    return value


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


#: A single text where several may stand, for who reads the file and for editors.
ONE_OR_MORE = (
    BeforeValidator(_one_or_more),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
)


class Receiver(Spec):
    """What all hooks have: the tokens that are believed (several while one replaces another), the channel of
    what no route leads elsewhere, and what the sender's words for severities mean."""

    token: Annotated[
        tuple[Annotated[SecretStr, AfterValidator(_token)], ...],
        *ONE_OR_MORE,
        Field(strict=False, min_length=1, max_length=5),
    ]
    channel: Name | None = None
    severities: dict[str, Severity] = Field(default_factory=dict)

    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return tuple(token.get_secret_value() for token in self.token)

    def severity(self, word: str) -> Severity:
        """What that word means; one that nobody knows, and none, is a warning."""
        own = {name.casefold(): severity for name, severity in self.severities.items()}
        word = word.casefold().strip()
        return own.get(word) or _SEVERITIES.get(word, "warning")


class Hook(Protocol):
    """A sender of alerts: one file here, and one line in `bot.hooks.AnyHook`."""

    def read(self, name: str, body: Any, known: Known, now: datetime) -> Told:
        """What a body says, which is JSON of any shape. `name`: the hook's own. Raises Unreadable."""
        ...
