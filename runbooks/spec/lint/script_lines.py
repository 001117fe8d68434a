"""The command lines of a step: of its argument list, or of its script, each with its place in the file."""

from collections.abc import Iterator

from runbooks.spec.lint.shell import Line, of_script, of_words
from runbooks.spec.runbook_step import RunbookStep
from runbooks.spec.source import Document, KeyPath, Mark


def lines_of(document: Document, step: RunbookStep, fields_at: KeyPath) -> Iterator[Line]:
    """What the step runs, references as they are written."""
    run = document.get((*fields_at, "run"))
    mark = document.mark((*fields_at, "run"))
    if step.kind == "command" and isinstance(run, list):
        yield of_words([str(word) for word in run], mark)
    elif step.kind == "script" and isinstance(run, str):
        shell = document.get((*fields_at, "shell"))
        words = [str(word) for word in shell] if isinstance(shell, list) else []
        yield from of_script(run, _marks(document, (*fields_at, "run"), run), words)


def _marks(document: Document, at: KeyPath, text: str) -> list[Mark]:
    """The place of each line of a text: a block's lines are those below its `|`."""
    start = document.values[at]
    source = document.text.split("\n")
    first = source[start.line - 1][start.column - 1 :].lstrip()
    if not first.startswith(("|", ">")):
        return [start]
    marks: list[Mark] = []
    number = start.line
    for line in text.split("\n"):
        # Folded and blank lines are not found one by one: what cannot be found keeps the place before it.
        if number < len(source) and source[number].strip() == line.strip():
            indent = len(source[number]) - len(source[number].lstrip())
            marks.append(Mark(number + 1, indent + 1))
        else:
            marks.append(marks[-1] if marks else start)
        number += 1
    return marks
