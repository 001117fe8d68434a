"""What a packed log is called in a store: `logs/HOST/FOLDER/FILE.gz`, whatever bytes its names have."""

import hashlib
import os
from urllib.parse import quote

#: The folder of every place that logs are in.
LOGS = "logs"
#: Characters of one name, and of all folders: file systems take 255 bytes of a name, S3 1,024 of a key.
_LONGEST_NAME, _LONGEST_PATH = 180, 500


def log_folder(host: str, folder: str) -> str:
    """The folder for what is in that folder of that host, which is a whole path."""
    parts = [_safe(part) for part in folder.split("/") if part]
    inner = "/".join(parts)
    if len(inner) > _LONGEST_PATH:
        inner = f"{inner[:_LONGEST_PATH].rpartition('/')[0]}/{_sum(folder)}"
    return f"{LOGS}/{_safe(host)}/{inner}"


def log_name(host: str, folder: str, file: str, *, encrypted: bool, content: str = "") -> str:
    """The name of that file there, which ends in `.gz`. `content`: its checksum, when another file of the
    same name is there that must not be replaced."""
    name = file.removesuffix(".gz")
    mark = f"~{content[:16]}" if content else ""
    return f"{log_folder(host, folder)}/{_safe(name)}{mark}.gz{'.enc' if encrypted else ''}"


def _safe(name: str) -> str:
    """No way out of the folder, nothing hidden, no `~`, which is ours, and not too long."""
    text = quote(os.fsencode(name), safe="").replace("~", "%7E")
    if text.startswith("."):
        text = f"%2E{text[1:]}"
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 40]}~{_sum(name)}"


def _sum(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
