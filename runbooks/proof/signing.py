"""The keys that sign the audit log's checkpoints: Ed25519 in base64, the private one from the environment."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

#: Where the private key comes from.
VARIABLE = "MAINT_AUDIT_KEY"
#: Bytes of either key.
_SIZE = 32
_WHAT = f"a key is {_SIZE} bytes in base64, as `maint audit key FILE` makes it"


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """Who may have signed, and when: a key that is used no more, or not yet, signs nothing."""

    key: str
    since: datetime | None = None
    until: datetime | None = None

    def holds_at(self, moment: datetime) -> bool:
        """Whether the key was in use then."""
        return (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)


class SigningKey:
    """The private key. It does not print."""

    def __init__(self, text: str) -> None:
        """Raises ValueError, without the text, when it is no key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key = Ed25519PrivateKey.from_private_bytes(_decoded(text))

    @property
    def public(self) -> str:
        """What verifies its signatures."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, document: str) -> str:
        """The signature of a text."""
        return base64.b64encode(self._key.sign(document.encode())).decode()

    def __repr__(self) -> str:
        return "<SigningKey>"


def make_key() -> str:
    """A new private key, as text."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


def check_public_key(text: str) -> str:
    """The same, in the one way to write it. Raises ValueError when it is no key."""
    return base64.b64encode(_decoded(text)).decode()


def is_signed(document: str, signature: str, key: str) -> bool:
    """Whether that key signed that very text."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        raw = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(_decoded(key)).verify(raw, document.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def trusted(keys: Iterable[PublicKey], key: str, moment: datetime) -> bool:
    """Whether somebody said that this key signs at that time."""
    return any(each.key == key and each.holds_at(moment) for each in keys)


def _decoded(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(_WHAT) from None
    if len(raw) != _SIZE:
        raise ValueError(_WHAT)
    return raw
