"""The statements in a script that pg_restore wrote."""

import re
from collections.abc import Mapping

#: What pg_restore writes above each thing, comments, quoted names and values, and the ends of statements.
_PIECES = re.compile(
    r"""(?P<heading>^--\ TOC\ entry\ (?P<id>\d+)\ [^\n]*$)
      | (?P<comment>^--[^\n]*$ | ^\\[^\n]*$)
      | (?P<text>"(?:[^"])*" | '(?:[^'])*' | [^"';\n]+ | \n)
      | (?P<end>;)""",
    re.VERBOSE | re.MULTILINE,
)


def statements(script: str) -> Mapping[int, str]:
    """By id what a script does that `pg_restore --verbose --file=-` wrote, without the last semicolon. For
    things without function bodies."""
    found: dict[int, str] = {}
    current, said = 0, ""
    for piece in _PIECES.finditer(script):
        if piece["heading"] and not said.strip():
            current = int(piece["id"])
        elif piece["end"]:
            if current:
                found[current] = "; ".join(filter(None, [found.get(current), said.strip()]))
            said = ""
        elif piece["text"] or said.strip():
            said += piece[0]
    return found
