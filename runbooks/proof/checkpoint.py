"""A checkpoint: the head of the audit chain at one moment, signed. Kept elsewhere, it is an anchor.

Its text is `{"anchor":{…},"signature":"…"}` in one line. What is signed is the inner object as canonical
JSON: sorted keys, no spaces, ASCII. docs/audit.md describes it for who wants to verify without Maint.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from runbooks.proof.signing import SigningKey, is_signed

VERSION = 1
#: What the first checkpoint has as the digest of the one before it.
FIRST = "0" * 64
#: No checkpoint's line is longer; a file of other things is not read for ever.
LONGEST_LINE = 2_000
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_FIELDS = ("at", "count", "hash", "key", "kind", "previous", "seq", "version")
_BEGINS = re.compile(r'\{"anchor":\s*\{')
_HEX = re.compile("[0-9a-f]{64}")


class Kind(StrEnum):
    """What a checkpoint is for."""

    ANCHOR = "anchor"  #: the head of the chain
    PRUNE = "prune"  #: the last event that was removed because of its age


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The chain's event `seq` has this hash. `count`: events since the last that was removed; `previous`: the
    sha256 of the checkpoint's document before this one; `key`: the public key."""

    kind: str
    seq: int
    hash: str
    count: int
    at: datetime
    previous: str
    key: str
    signature: str = ""
    version: int = VERSION

    @property
    def document(self) -> str:
        """What is signed."""
        fields = {name: getattr(self, name) for name in _FIELDS}
        return _canonical(fields | {"at": self.at.astimezone(UTC).strftime(_TIME).rjust(27, "0")})

    @property
    def digest(self) -> str:
        """What the next checkpoint has as `previous`."""
        return sha256(self.document.encode()).hexdigest()

    @property
    def line(self) -> str:
        """As it is kept elsewhere."""
        return f'{{"anchor":{self.document},"signature":"{self.signature}"}}'

    @property
    def fits_its_signature(self) -> bool:
        """Whether the key that it names signed it. Who that key belongs to is another question."""
        return is_signed(self.document, self.signature, self.key)

    def signed(self, key: SigningKey) -> "Checkpoint":
        """The same with that key and its signature."""
        named = replace(self, key=key.public)
        return replace(named, signature=key.sign(named.document))


def read_document(text: str, signature: str) -> Checkpoint | None:
    """The checkpoint of that document; None when it is none, or not written as it would be signed."""
    try:
        return _read(json.loads(text), signature, text)
    except (ValueError, RecursionError):
        return None


def find_checkpoints(text: str) -> Iterable[Checkpoint]:
    """Those that stand in a text, whatever else is there: a file of lines, a message that was copied."""
    for begin in _BEGINS.finditer(text):
        try:
            found, _ = json.JSONDecoder().raw_decode(text[begin.start() : begin.start() + LONGEST_LINE])
            checkpoint = _read(found["anchor"], found["signature"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if checkpoint is not None:
            yield checkpoint


def _read(fields: Any, signature: Any, text: str = "") -> Checkpoint | None:
    """Every field must be of its type, and none may be left over: what is not read is not checked."""
    if not isinstance(fields, dict) or tuple(sorted(fields)) != _FIELDS or not isinstance(signature, str):
        return None
    texts, numbers = ("at", "hash", "key", "kind", "previous"), ("count", "seq", "version")
    if not all(isinstance(fields[name], str) for name in texts):
        return None
    if not all(type(fields[name]) is int and fields[name] >= 0 for name in numbers):
        return None
    if fields["version"] != VERSION or fields["kind"] not in set(Kind):
        return None
    if not _HEX.fullmatch(fields["hash"]) or not _HEX.fullmatch(fields["previous"]):
        return None
    at = datetime.strptime(fields["at"], _TIME).replace(tzinfo=UTC)
    checkpoint = Checkpoint(**fields | {"at": at}, signature=signature)
    return checkpoint if not text or checkpoint.document == text else None


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
