"""Secret parameters of a run, encrypted while they wait in the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from runbooks.errors import UsageError

#: Where the key comes from. `maint key` is not needed: any text of 32 characters or more will do.
VARIABLE = "MAINT_SECRET_KEY"
#: Where earlier keys come from, one a line: what they sealed can still be opened.
OLD_VARIABLE = "MAINT_SECRET_KEY_OLD"
SHORTEST_KEY = 32


class Sealer:
    """Encrypts and decrypts with a key from the environment (Fernet: AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, key: str, older: Sequence[str] = ()) -> None:
        """`key` is any text; empty: there is none, and nothing secret can be kept. `older` keys still open
        what they sealed; nothing is sealed with them any more."""
        self._key = key
        self._older = tuple(older)

    def seal_all(self, secrets: Mapping[str, Any]) -> dict[str, str]:
        """Every value encrypted. Raises UsageError when there is no key."""
        if not secrets:
            return {}
        if len(self._key) < SHORTEST_KEY:
            raise UsageError(
                "This runbook has secret parameters, and a run that waits keeps them encrypted: set "
                f"{VARIABLE} to at least {SHORTEST_KEY} random characters first, the same on every replica."
            )
        box = self._boxes()
        return {name: box.encrypt(str(value).encode()).decode() for name, value in secrets.items()}

    def open_all(self, sealed: Mapping[str, str]) -> dict[str, str]:
        """The values. Raises UsageError when they were sealed with none of the keys."""
        if not sealed:
            return {}
        from cryptography.fernet import InvalidToken

        try:
            box = self._boxes()
            return {name: box.decrypt(value.encode()).decode() for name, value in sealed.items()}
        except InvalidToken:
            raise UsageError(
                f"This run's secret parameters were encrypted with another {VARIABLE}: give the one from "
                f"before in {OLD_VARIABLE}, on every replica, and retry."
            ) from None

    def _boxes(self) -> Any:
        """Seals with the first key, opens with each."""
        from cryptography.fernet import MultiFernet

        return MultiFernet([_box(key) for key in (self._key, *self._older)])

    def __repr__(self) -> str:
        return "<Sealer>"


def _box(key: str) -> Any:
    import base64
    import hashlib

    from cryptography.fernet import Fernet

    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))
