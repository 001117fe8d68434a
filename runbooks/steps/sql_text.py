"""SQL as it may be shown: without the values in it."""

import regex

# PostgreSQL's own lexical rules, leftmost token first. No parser is used: the server cuts a query off at
# track_activity_query_size, and parsers refuse half a statement. Whatever is not certain hides the rest
# of the text: a nested comment, and `\'` in a plain string, whose meaning hangs on
# standard_conforming_strings. Not `re`: its possessive quantifiers are wrong before Python 3.11.5
# (python/cpython issue 106052), and Debian 12 has 3.11.2.
_TOKEN = regex.compile(
    r"""
      (?P<gap>     \s++ | --[^\r\n]*+ | /\*(?:(?!/\*|\*/).)*+\*/ )
    | (?P<rest>    /\*.* )
    | (?P<value>   [eE]'(?:[^'\\]|\\.|'')*+(?:'|\\?\Z)
                 | (?:[bBnNxX]|[uU]&)?'(?:[^'\\]|''|\\(?!'))*+(?:'|\Z)
                 | \$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*+)?)\$.*?(?:\$(?P=tag)\$|\Z)
                 | \.?[0-9][\w.]*+(?:(?<=[eE])[+-][0-9]*+)? )
    | (?P<hidden>  (?:[bBnNxX]|[uU]&)?'.* )
    | (?P<kept>    [A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*+ | "(?:[^"]|"")*+(?:"|\Z) | \$[0-9]++ | . )
    """,
    regex.VERBOSE | regex.DOTALL,
)


def without_values(sql: str) -> str:
    """The statement on one line, every string and number in it replaced by `?`, and comments left out.

    https://www.postgresql.org/docs/current/sql-syntax-lexical.html
    """
    shown = []
    for token in _TOKEN.finditer(sql):
        match token.lastgroup:
            case "kept":
                shown.append(token["kept"])
            case "gap" | "rest":
                shown.append(" ")
            case _:
                shown.append("?")
    return " ".join("".join(shown).split())
