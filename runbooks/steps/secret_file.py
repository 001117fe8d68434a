"""A secret in a file of its own: a password, or an address with one in it. It is replaced at once, or not.

The next secret stands beside it, in `NAME.new`, before anything else is told of it: whoever dies in between
leaves a file from which the next attempt goes on.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import AfterValidator

from runbooks.errors import StepError

#: Bytes that such a file has at most.
LARGEST = 64 * 1024
Holds = Literal["password", "url"]


def _place(value: str) -> str:
    if re.fullmatch(r"\$\{\w+\}|\$\w+|env:.*", value):
        raise ValueError(
            "an environment variable of a program that runs cannot be changed: put the secret into a file, "
            "which the program reads, and write file:/where/it/is"
        )
    if not value.startswith(("file:/", "file:~/")):
        raise ValueError("write file: and the whole path, as in file:/etc/shop/database-password")
    return value


#: Where a secret is, by reference: `file:/etc/shop/password`.
SecretPlace = Annotated[str, AfterValidator(_place)]


@dataclass(frozen=True)
class Secret:
    """A login's name and password; the name is empty where the file holds nothing but a password."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class SecretFile:
    """The file. Everything blocks, and raises StepError; no message has a secret in it."""

    path: Path
    holds: Holds

    @classmethod
    def at(cls, place: str, holds: Holds) -> "SecretFile":
        """Of a reference."""
        return cls(Path(place.removeprefix("file:")).expanduser(), holds)

    @property
    def next(self) -> Path:
        """Where the next secret stands until it is this one."""
        return self.path.with_name(f"{self.path.name}.new")

    def read(self) -> Secret:
        """What the file holds now."""
        found = self._read(self.path)
        if found is None:
            raise StepError(f"{self.path} is not there: write the present secret into it first")
        return found

    def read_next(self) -> Secret | None:
        """What an attempt that did not end has left, if there was one."""
        return self._read(self.next)

    def write_next(self, secret: Secret) -> None:
        """Puts the next secret beside the file, whole and on the disk, for its owner alone."""
        text = self._text(secret)
        try:
            state = self.path.stat()
            with suppress(FileNotFoundError):
                self.next.unlink()
            descriptor = os.open(self.next, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                with suppress(PermissionError):  # only root gives files away; then it is ours
                    os.fchown(descriptor, state.st_uid, state.st_gid)
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            self._sync_folder()
        except OSError as error:
            raise StepError(
                f"{self.next} cannot be written: {error.strerror}; nothing was changed"
            ) from error

    def take_next(self) -> None:
        """The next secret is this one from now on."""
        try:
            self.next.replace(self.path)
            self._sync_folder()
        except OSError as error:
            raise StepError(f"{self.next} cannot become {self.path.name}: {error.strerror}") from error

    def drop_next(self) -> None:
        """There is no next one."""
        with suppress(OSError):
            self.next.unlink()

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read(self, path: Path) -> Secret | None:
        try:
            with path.open("rb") as file:
                text = file.read(LARGEST).decode("utf-8").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StepError(f"{path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise StepError(f"{path} holds no text in UTF-8") from None
        if self.holds == "password":
            if not text:
                raise StepError(f"{path} is empty")
            return Secret("", text)
        try:
            parts = urlsplit(text)
            user, password = unquote(parts.username or ""), unquote(parts.password or "")
        except ValueError:
            raise StepError(f"{path} holds no address that can be read") from None
        if not user or not password:
            raise StepError(f"{path} holds no address with a user and a password before its host")
        return Secret(user, password)

    def _text(self, secret: Secret) -> str:
        if self.holds == "password":
            return f"{secret.password}\n"
        parts = urlsplit(self.path.read_text(encoding="utf-8").strip())
        host = parts.netloc.rpartition("@")[2]
        login = f"{quote(secret.user, safe='')}:{quote(secret.password, safe='')}"
        return f"{urlunsplit(parts._replace(netloc=f'{login}@{host}'))}\n"
