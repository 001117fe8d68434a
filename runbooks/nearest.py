"""The right word for a wrong one."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None when none is close."""
    by_form = {name.lower(): name for name in known}
    # Comparing takes the product of the lengths, and nobody mistypes a word of a hundred letters.
    close = get_close_matches(word[:100].lower(), by_form, n=1)
    return by_form[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean `targets`?`, or nothing when no known word is close."""
    match = nearest(word, known)
    return f"did you mean `{match}`?" if match else ""
