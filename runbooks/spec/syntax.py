"""PyYAML's syntax errors in the words of somebody who writes a settings file."""

from dataclasses import dataclass

import yaml


@dataclass(frozen=True)
class SyntaxFault:
    """What is wrong, and where: line and column from 1."""

    line: int
    column: int
    message: str
    hint: str = ""


_BRACKETS = "put quotes around a text with brackets in it, like ${NAME}"

#: (in PyYAML's problem, in its context, message, hint, whether the context's place is the helpful one).
_WORDS: tuple[tuple[str, str, str, str, bool], ...] = (
    ("'\\t' that cannot start", "", "a tab stands where spaces are needed", "indent with spaces", False),
    ("found unexpected end of stream", "quoted scalar", "a quote is opened here and never closed", "", True),
    (
        "found unexpected document separator",
        "quoted scalar",
        "a quote is opened here and never closed",
        "",
        True,
    ),
    (
        "found unknown escape character",
        "",
        "this backslash means nothing inside double quotes",
        "use single quotes",
        False,
    ),
    ("expected escape sequence", "", "this escape is not complete", "use single quotes", False),
    ("got '<stream end>'", "flow sequence", "a [ is opened here and never closed", "", True),
    ("got '<stream end>'", "flow mapping", "a { is opened here and never closed", "", True),
    ("expected ',' or ']'", "", "a comma or a closing ] is missing before this", _BRACKETS, False),
    ("expected ',' or '}'", "", "a comma or a closing } is missing before this", _BRACKETS, False),
    (
        "mapping values are not allowed",
        "",
        "a second `: ` in one line, or a key that is indented too far",
        "put quotes around a text that has `: ` in it",
        False,
    ),
    (
        "sequence entries are not allowed",
        "",
        "a list item cannot stand here",
        "begin the list on a line of its own",
        False,
    ),
    ("could not find expected ':'", "", "a key needs `: ` and a value after it", "", True),
    (
        "found '<scalar>'",
        "",
        "there is more text after the closing quote",
        "inside single quotes, a quote is written twice: 'it''s'",
        False,
    ),
    (
        "expected <block end>",
        "",
        "this line does not fit the ones above it",
        "indent it as far as its neighbours",
        False,
    ),
    (
        "that cannot start any token",
        "",
        "a text cannot begin with this character",
        "put quotes around the text",
        False,
    ),
    (
        "found undefined alias",
        "",
        "a text cannot begin with *, and no anchor has this name",
        "put quotes around it",
        False,
    ),
    (
        "did not find expected alphabetic",
        "",
        "a text cannot begin with * or &",
        "put quotes around it",
        False,
    ),
    ("expected alphabetic or numeric", "", "a text cannot begin with * or &", "put quotes around it", False),
)


def explain(error: yaml.MarkedYAMLError) -> SyntaxFault:
    """The error in plain words, at the place that helps most."""
    problem, context = error.problem or "", error.context or ""
    message, hint, use_context = problem or context or "this is not YAML", "", False
    for in_problem, in_context, words, advice, at_context in _WORDS:
        if in_problem in problem and in_context in context:
            message, hint, use_context = words, advice, at_context
            break
    mark = error.context_mark if use_context and error.context_mark else error.problem_mark
    mark = mark or error.context_mark
    return SyntaxFault(mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, message, hint)
