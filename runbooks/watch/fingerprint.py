"""What makes two observations the same trouble."""

import hashlib
import json
from collections.abc import Mapping


def fingerprint(source: str, labels: Mapping[str, str]) -> str:
    """The same for the same labels of the same source, in whatever order they come: 64 hexadecimal digits."""
    text = json.dumps([source, sorted(labels.items())], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
