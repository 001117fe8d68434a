"""Lines that say the same but for numbers, ids and names in quotes: their common signature."""

import re

# No rule matches a placeholder, nor what it leaves behind: a folded text stays as it is when folded again.
_RULES = re.compile(
    r"(?P<key>(?i:password|passwd|pwd|secret|token|api[_-]?key|authorization|cookie)[\"']?\s{0,3}[=:]\s{0,3})"
    r"(?:(?i:bearer|basic)\s{1,3})?(?:\"[^\"]*\"|'[^']*')?\S*"
    r"|(?P<email>[\w.+-]{1,64}@[\w.-]{1,255})"
    r"|(?P<text>\"[^\"<>]*\"|(?<![\w>])'[^'<>]*'(?![\w<]))"
    r"|(?P<n>\b0x[0-9a-fA-F]+\b"
    r"|\b(?=[\w-]*\d)[\w-]{16,}\b"  # tokens, uuids, hashes
    r"|\b(?=\w*\d)[0-9a-fA-F]{8,}\b"
    r"|\d+(?:[.,:]\d+)*)"
)


def fold(text: str) -> str:
    """The signature: numbers and ids as <n>, quoted words as <text>, addresses as <email>, and what is
    set beside a word like `password` as <secret>."""
    return _RULES.sub(_placeholder, text)


def _placeholder(found: re.Match[str]) -> str:
    return f"{found['key']}<secret>" if found["key"] else f"<{found.lastgroup}>"
