"""Lines that say the same but for numbers, ids and names in quotes: their common signature."""

import re
from functools import lru_cache

# No rule matches a placeholder, nor what it leaves behind: a folded text stays as it is when folded again.
_RULES = re.compile(
    r"(?P<key>(?i:password|passwd|pwd|secret|token|api[_-]?key|authorization|cookie)[\"']?\s{0,3}[=:]\s{0,3})"
    r"(?:(?i:bearer|basic)\s{1,3})?(?:\"[^\"]*\"|'[^']*')?\S*"
    r"|(?P<email>(?<![\w.+-])[\w.+-]{1,64}@[\w.-]{1,255})"
    r"|(?P<text>\"[^\"<>]*\"|(?<![\w>])'[^'<>]*'(?![\w<]))"
    r"|(?P<n>\b0x[0-9a-fA-F]+\b"
    r"|\b(?=[\w-]*\d)[\w-]{16,}\b"  # tokens, uuids, hashes
    r"|\b(?=\w*\d)[0-9a-fA-F]{8,}\b"
    r"|\d+(?:[.,:]\d+)*)"
)


_SAME_DIGITS = str.maketrans("123456789", "0" * 9)


def fold(text: str) -> str:
    """The signature: numbers and ids as <n>, quoted words as <text>, addresses as <email>, and what is
    set beside a word like `password` as <secret>."""
    # To the rules all digits are the same; so made the same, the lines of a storm of errors are few texts.
    return _fold(text.translate(_SAME_DIGITS))


@lru_cache(maxsize=4096)
def _fold(text: str) -> str:
    return _RULES.sub(_placeholder, text)


def _placeholder(found: re.Match[str]) -> str:
    return f"{found['key']}<secret>" if found["key"] else f"<{found.lastgroup}>"
