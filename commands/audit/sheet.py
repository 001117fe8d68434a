"""Events as rows for machines: the columns that are hashed, the name, and the hashes."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from runbooks.records.audit import Recorded
from runbooks.records.chain import HASHED, written

#: What begins a formula where a table is opened (OWASP ASVS 1.2.10), also in its wide form.
_FORMULA = frozenset("=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")


_NAME = HASHED.index("actor_mark") + 1
#: The columns, in the order of every export: those of the log, with the actor's name after its mark.
COLUMNS = (*HASHED[:_NAME], "actor_name", *HASHED[_NAME:], "prev", "hash")


def as_data(recorded: Recorded) -> dict[str, Any]:
    """An event with every column of the log, as the export has it. `targets` are parted by spaces."""
    event = recorded.event
    return {
        "seq": recorded.seq,
        "id": event.id,
        "at": written(event.at),
        "actor_kind": event.actor_kind,
        "actor_id": event.actor_id,
        "actor_mark": recorded.mark,
        "actor_name": event.actor_name,
        "team": event.team,
        "action": event.action,
        "object": event.object,
        "outcome": str(event.outcome),
        "channel": event.channel,
        "channel_name": event.channel_name,
        "correlation": event.correlation,
        "permalink": event.permalink,
        "runbook": event.runbook,
        "targets": " ".join(event.targets),
        "details": event.details,
        "prev": recorded.prev,
        "hash": recorded.hash,
    }


def json_line(recorded: Recorded) -> str:
    """An event as one line, as the export has it."""
    return compact(as_data(recorded)) + "\n"


def compact(value: object) -> str:
    """JSON without spaces, letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def csv_rows(rows: Iterable[Sequence[object]]) -> str:
    """RFC 4180, with an apostrophe before what a spreadsheet would take for a formula."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\r\n")
    write.writerows([neutral(cell) if type(cell) is str else cell for cell in row] for row in rows)
    return text.getvalue()


def neutral(cell: str) -> str:
    """The text, which no spreadsheet carries out."""
    return f"'{cell}" if cell[:1] in _FORMULA else cell
