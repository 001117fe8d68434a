"""What a word, or a button, asks for before anything is done. Each declares it; there is no default."""

from enum import StrEnum


class Needs(StrEnum):
    """Which right somebody must have."""

    WORD = "word"
    """A grant of that very word (`commands:`), for what it is used on."""
    RUNBOOK = "runbook"
    """A grant of a runbook (`runbooks:`); which one, and on what, is looked at when that is known."""
    BUSINESS = "business"
    """No grant of the word: what it is used on, a run, a question or an event, says whose business it is."""
    NOTHING = "nothing"
    """Everybody of the workspace: it shows what the asker may do, and touches nothing."""
