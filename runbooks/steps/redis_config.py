"""`redis.config_diff`: how a Redis' settings differ from the file that says how they are meant."""

import re
from typing import ClassVar

from pydantic import Field, model_validator

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps.postgres_settings import SettingValue
from runbooks.steps.reach import Reach
from runbooks.steps.redis_client import connected, lacks_commands
from runbooks.steps.step import Check, Measured, Output
from runbooks.steps.wanted_file import WantedPath, read_wanted
from runbooks.targets import RedisTarget
from runbooks.visible import one_line

#: Settings with a secret in them: they are compared, and never shown.
SECRET = frozenset(
    ("requirepass", "masterauth", "tls-key-file-pass", "tls-client-key-file-pass", "masteruser")
)
#: Directives that are no settings: what they do cannot be asked for.
_NO_SETTINGS = frozenset(("include", "loadmodule", "user", "rename-command", "sentinel"))
_UNITS = {"b": 1, "k": 1000, "kb": 1024, "m": 1000**2, "mb": 1024**2, "g": 1000**3, "gb": 1024**3}
_SIZE = re.compile(r"(\d+)\s*([a-z]*)", re.IGNORECASE)
#: Characters of a value that are shown.
LONGEST_VALUE = 100


def read_config(text: str) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """The settings of a redis.conf by name, each with its values, and what was not looked at."""
    found: dict[str, list[str]] = {}
    left: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        name, _, rest = line.strip().partition(" ")
        name = name.lower()
        if not name or name.startswith("#"):
            continue
        if name in _NO_SETTINGS:
            left.append(f"line {number} ({name}) is not looked at")
        elif not re.fullmatch(r"[a-z][a-z0-9-]*", name) or not rest.strip():
            left.append(f"line {number} cannot be read")
        else:
            found.setdefault(name, []).append(_unquoted(rest.strip()))
    return found, tuple(left)


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def same(wanted: list[str], setting: str) -> bool:
    """Whether a setting as CONFIG GET tells it is what the file says, in whatever unit or order."""
    if len(wanted) == 1 and (_number(wanted[0]) is not None or _number(setting) is not None):
        return _number(wanted[0]) == _number(setting)
    # `save` and `client-output-buffer-limit` may stand on several lines, and their parts have units too.
    return _parts(" ".join(wanted)) == _parts(setting)


def _parts(value: str) -> list[str]:
    numbers = [(word, _number(word)) for word in value.lower().split()]
    return [word if number is None else str(number) for word, number in numbers]


def _number(value: str) -> int | None:
    found = _SIZE.fullmatch(value.strip())
    if found is None or found[2].lower() not in ("", *_UNITS):
        return None
    return int(found[1]) * _UNITS.get(found[2].lower(), 1)


class RedisConfigDiff(Check[RedisTarget]):
    """Which settings are not as a file or the runbook wants them."""

    kind: ClassVar[str] = "redis.config_diff"
    title: ClassVar[str] = "Redis settings"
    needs: ClassVar[type[RedisTarget]] = RedisTarget
    outputs: ClassVar[dict[str, Output]] = {
        "different": Output(title="settings that differ"),
        "unknown": Output(title="settings that the server does not know"),
    }
    headline: ClassVar[str] = "different"
    lists: ClassVar[bool] = True

    file: WantedPath | None = None
    settings: dict[str, SettingValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_something(self) -> "RedisConfigDiff":
        if (self.file is None) == (not self.settings):
            raise ValueError("`file:` or `settings:` says what is wanted")
        return self

    @classmethod
    async def lacks(cls, target: RedisTarget, reach: Reach) -> tuple[str, ...]:
        """What its login needs."""
        return await lacks_commands(target, reach, "+config|get", "CONFIG GET *")

    async def measure(self, target: RedisTarget, reach: Reach) -> Measured:
        """A warning by itself: the file is not as it was committed. Raises StepError when Redis cannot be
        asked, or the file says nothing."""
        wanted, version, findings = await self._wanted()
        async with connected(target, reach, self.seconds, needs="+config|get") as client:
            answer = await client.config_get("*")
        found = {str(name): str(value) for name, value in answer.items()}
        different = [
            f"{name}: {_shown(name, found[name])}, wanted {_shown(name, ' '.join(values))}"
            for name, values in sorted(wanted.items())
            if name in found and not same(values, found[name])
        ]
        missing = sorted(name for name in wanted if name not in found)
        return Measured(
            values={"different": len(different), "unknown": len(missing)},
            summary=f"from {version}" if version else "",
            findings=tuple((Status.WARNING, finding) for finding in findings),
            details=(*different, *(f"not known there: {one_line(name)}" for name in missing)),
        )

    async def _wanted(self) -> tuple[dict[str, list[str]], str, list[str]]:
        if self.file is None:
            return {name.lower(): [value] for name, value in self.settings.items()}, "", []
        file = await read_wanted(self.file)
        wanted, left = read_config(file.text)
        if not wanted:
            raise StepError(f"{file.version} says nothing about any setting")
        findings = [f"{file.version}: {line}" for line in left[:5]]
        if file.changed:
            findings.append(f"{file.version} has changes that are not committed")
        return wanted, file.version, findings


def _shown(name: str, value: str) -> str:
    return "(not shown)" if name in SECRET else one_line(value, LONGEST_VALUE) or "(empty)"
