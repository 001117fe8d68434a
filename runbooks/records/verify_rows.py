"""Computes the hashes of a stretch of events anew, from the rows as the driver has them: no layer between
that might mend what it reads, and as fast as Python can."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection

from runbooks.records.chain import COLUMNS, HASHED, digest

#: Events of one stretch, and rows that are in memory at a time.
STRETCH, AT_A_TIME = 50_000, 2_000
#: Actions whose details are held against what else the database says.
TELLING = frozenset({"audit.anchored", "audit.pruned", "audit.forgotten"})
_AT = HASHED.index("at")
_DETAILS = HASHED.index("details")

#: Mark -> (kind, id) of the actor whose name that is.
Names = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Told:
    """An event that tells of checkpoints or names."""

    seq: int
    action: str
    details: str


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """What was found from one number to another. `first_prev` is for whoever knows the event before; `bad` is
    the number that does not fit in itself, -1 when all do."""

    count: int
    first_prev: str
    first_at: str
    last_hash: str
    last_at: str
    wrong_anchor: int
    bad: int
    unnamed: int
    told: tuple[Told, ...]


def read_stretch(
    connection: Connection, first: int, last: int, names: Names, anchors: Mapping[int, str]
) -> Stretch:
    """The events from `first` to `last`, both of which must be there, and all between. `anchors`: hashes that
    are known from elsewhere. It stops at the first that does not fit."""
    awaited, prev, latest = first, "", ""
    first_prev = first_at = ""
    bad = wrong_anchor = unnamed = -1
    told: list[Told] = []
    for row in _rows(connection, first, last):
        seq, at, hash_ = row[0], row[_AT], row[-1]
        if awaited == first:
            prev, first_prev, first_at = row[-2], row[-2], at
        if seq != awaited or hash_ != _hash(row) or row[-2] != prev or at < latest:
            bad = awaited
            break
        if seq in anchors and anchors[seq] != hash_:
            wrong_anchor = seq
            break
        if row[5] and unnamed < 0 and names.get(row[5]) != (row[3], row[4]):
            unnamed = seq
        if row[7] in TELLING:
            told.append(Told(seq=seq, action=row[7], details=row[_DETAILS]))
        awaited, prev, latest = awaited + 1, hash_, at
    if bad < 0 <= last - awaited and wrong_anchor < 0:
        bad = awaited  # it is missing
    return Stretch(
        count=awaited - first,
        first_prev=first_prev,
        first_at=first_at,
        last_hash=prev,
        last_at=latest,
        wrong_anchor=wrong_anchor,
        bad=bad,
        unnamed=unnamed,
        told=tuple(told),
    )


def _hash(row: tuple[Any, ...]) -> str:
    """The hash that those columns give; empty when one of them is of no type that Maint writes."""
    seq, id_, at, kind, actor, mark, team, action, obj, outcome, chan, name, corr, link, book, to, text, prev, _ = row  # fmt: skip  # noqa: E501
    try:
        if at[10] != " " or type(text) is not str:
            return ""
        number = str(seq)
        head = (
            f"{len(prev)}:{prev}{len(number)}:{number}{len(id_)}:{id_}{len(at) + 1}:{at[:10]}T{at[11:]}Z"
            f"{len(kind)}:{kind}{len(actor)}:{actor}{len(mark)}:{mark}{len(team)}:{team}{len(action)}:{action}"
            f"{len(obj)}:{obj}{len(outcome)}:{outcome}{len(chan)}:{chan}{len(name)}:{name}{len(corr)}:{corr}"
            f"{len(link)}:{link}{len(book)}:{book}{len(to)}:{to}"
        )
        if head.isascii():  # then characters are bytes
            raw = text.encode()
            return sha256(b"%b%d:%b" % (head.encode(), len(raw), raw)).hexdigest()
        return digest(prev, number, id_, f"{at[:10]}T{at[11:]}Z", *row[3:-2])
    except (TypeError, IndexError, AttributeError):
        return ""


def _rows(connection: Connection, first: int, last: int) -> Iterator[tuple[Any, ...]]:
    raw: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        cursor = raw.execute(
            f"SELECT {', '.join(COLUMNS)} FROM audit_events WHERE seq BETWEEN ? AND ? ORDER BY seq",  # noqa: S608
            (first, last),
        )
        cursor.arraysize = AT_A_TIME
        yield from cursor
        return
    # Before the year 1 it would be written as one after it.
    written = (
        "CASE WHEN at >= '0001-01-01Z' THEN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') END"
    )
    columns = ", ".join(written if name == "at" else name for name in COLUMNS)
    query = f"SELECT {columns} FROM audit_events WHERE seq BETWEEN %s AND %s ORDER BY seq"  # noqa: S608
    for begin in range(first, last + 1, AT_A_TIME):
        end = min(begin + AT_A_TIME - 1, last)
        yield from raw.execute(query, (begin, end), binary=True)
