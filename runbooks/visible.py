"""Text from outside (log lines, names of processes, what servers say) made fit for one line."""


def cut(text: str, most: int) -> str:
    """At most `most` characters of it, cut between words: no half of a secret that no scrubber would know."""
    return text if len(text) <= most else text[: most + 1].rpartition(" ")[0]


def shorten(text: str, most: int) -> str:
    """At most `most` characters, with a mark where something is missing; for text without secrets."""
    return text if len(text) <= most else text[: most - 1] + "…"


def one_line(text: str, most: int = 200) -> str:
    """At most about `most` characters, every control, bidi and separator character written as an escape."""
    kept = cut(text.strip(), most)
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in kept)
    return escaped if len(kept) == len(text.strip()) else f"{escaped} …".strip()
