"""References in values: `${NAME}`, `${NAME:-default}`, `$$` for a `$`, and `file:/run/secrets/x`.

They are resolved after the YAML is parsed, one value at a time, so nothing in the environment can add
a key or an item.
"""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runbooks.nearest import did_you_mean

#: Bytes of a secret file. A certificate chain fits; a log file named by mistake does not.
LARGEST_SECRET = 64 * 1024

_REFERENCE = re.compile(
    r"\$(?:\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}$]*))?\}|(?P<bad>\{))"
)
_FILE = re.compile(r"file:(?=[/.~$])")


class BrokenReference(ValueError):
    """A reference that cannot be resolved; its text names the variable or file, never a value."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Resolved:
    """A value after its references. `secret` when it was read from a file."""

    text: str = field(repr=False)
    secret: bool = False


def read_secret(path: Path) -> str:
    """The text of a secret file without its last line break; raises BrokenReference."""
    try:
        # A pipe or a device would be waited for, or read, without end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise BrokenReference(f"{path} is not a regular file")
        with path.open("rb") as file:
            content = file.read(LARGEST_SECRET + 1)
        text = content.decode()
    except UnicodeDecodeError:
        raise BrokenReference(f"{path} is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        if isinstance(error, BrokenReference):
            raise
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise BrokenReference(f"cannot read {path}: {reason}") from None
    if len(content) > LARGEST_SECRET:
        raise BrokenReference(f"{path} is larger than {LARGEST_SECRET // 1024} KiB", "is it the right file?")
    return text.removesuffix("\n").removesuffix("\r")


def resolve(text: str, environ: Mapping[str, str], folder: Path) -> Resolved | None:
    """The text with its references replaced, None when it has none; raises BrokenReference.

    A file's path is relative to `folder`.
    """
    if _FILE.match(text):
        try:
            path = Path(_substitute(text.removeprefix("file:"), environ)).expanduser()
        except RuntimeError:
            raise BrokenReference("~ cannot be resolved: this user has no home folder") from None
        return Resolved(read_secret(folder / path), secret=True)
    if not _REFERENCE.search(text):
        return None
    return Resolved(_substitute(text, environ))


def _substitute(text: str, environ: Mapping[str, str]) -> str:
    references = list(_REFERENCE.finditer(text))
    if any(reference["bad"] for reference in references):
        raise BrokenReference(
            "this reference cannot be read",
            "write ${NAME}, or ${NAME:-default} without braces and $ in the default; $$ is a literal $",
        )
    unset = [
        reference["name"]
        for reference in references
        if reference["name"] and reference["default"] is None and reference["name"] not in environ
    ]
    if unset:
        words = "variable {} is" if len(unset) == 1 else "variables {} are"
        hint = did_you_mean(unset[0], environ) or f"set it, or give it a default: ${{{unset[0]}:-…}}"
        raise BrokenReference(f"the environment {words.format(', '.join(unset))} not set", hint)
    return _REFERENCE.sub(lambda reference: _value(reference, environ), text)


def _value(reference: re.Match[str], environ: Mapping[str, str]) -> str:
    if not reference["name"]:
        return "$"
    value = environ.get(reference["name"], "")
    if reference["default"] is not None and not value:  # as in a shell, `:-` replaces an empty value too
        return reference["default"]
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes that were no UTF-8, as Python carries them
        raise BrokenReference(f"the environment variable {reference['name']} is not UTF-8 text") from None
    return value
