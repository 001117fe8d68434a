"""What is in a dump, as `pg_restore --list --verbose` tells it: which of it belongs to a table."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

#: What can be asked for as a table.
TABLES = frozenset({"TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW"})
#: Rows: they follow their table, and nothing follows them.
_ROWS = frozenset({"TABLE DATA", "MATERIALIZED VIEW DATA"})
#: What is about one other thing, and comes with it.
_ABOUT = frozenset(
    {"COMMENT", "ACL", "SECURITY LABEL", "SEQUENCE OWNED BY", "SEQUENCE SET", "STATISTICS DATA"}
)
#: What is of one table. In the names of these that table's comes first.
_NAMED_BY_TABLE = frozenset(
    {"DEFAULT", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "RULE", "POLICY"}
)
_OF_A_TABLE = _NAMED_BY_TABLE | {"INDEX", "STATISTICS", "ROW SECURITY"}
_INDEXES = frozenset({"INDEX", "CONSTRAINT"})
# Names may have spaces and are not quoted, so that the kinds of several words must be known. Those that are
# no object of their own have no catalogue: `TABLE DATA orders` with one is a table of the schema DATA.
_NO_OBJECT = (*_ROWS, *_ABOUT, "TABLE ATTACH", "INDEX ATTACH")
_OBJECT = ("MATERIALIZED VIEW", "FOREIGN TABLE", "CHECK CONSTRAINT", "FK CONSTRAINT", "PUBLICATION TABLE")
_OTHER = ("ROW SECURITY", "EVENT TRIGGER", "SHELL TYPE", "DEFAULT ACL")
_LINE = re.compile(r"(\d+); (\d+) \d+ (.*)", re.DOTALL)
_NEEDS = ";\tdepends on:"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing in a dump. `text`: schema, name and owner, with spaces between them and perhaps in them."""

    id: int
    kind: str
    text: str
    needs: frozenset[int] = frozenset()

    def __str__(self) -> str:
        return f"{self.kind} {self.text}".strip()


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What a restore of some tables is about: ids, in the order of the dump."""

    own: tuple[int, ...]  # the tables, and what belongs to them
    after: tuple[int, ...]  # belongs to them, and is about a table that may not be there: keys to it, parents
    others: tuple[int, ...]  # keys of other tables to these
    left: tuple[Entry, ...]  # anything else that needs them: views, publications
    needs: tuple[Entry, ...]  # what they need beside that: types, functions, schemas


def entries(listing: str) -> tuple[Entry, ...]:
    """The things in a dump. Lines that are none of these are passed over."""
    found: list[Entry] = []
    for line in listing.split("\n"):
        if line.startswith(_NEEDS) and found:
            needs = frozenset(map(int, re.findall("[0-9]+", line.removeprefix(_NEEDS))))
            found.append(replace(found.pop(), needs=needs))
        elif match := _LINE.fullmatch(line):
            kind = _kind_of(match[3], is_object=match[2] != "0")
            found.append(Entry(id=int(match[1]), kind=kind, text=match[3][len(kind) + 1 :]))
    return tuple(found)


def _kind_of(rest: str, *, is_object: bool) -> str:
    known = (*_OTHER, *(_OBJECT if is_object else _NO_OBJECT))
    found = [kind for kind in known if rest.startswith(f"{kind} ")]
    return max(found, key=len, default=rest.partition(" ")[0])


def in_a_line(name: str) -> str:
    """A name as it is in a list."""
    return name.replace("\n", " ").replace("\r", " ")


def named(contents: Sequence[Entry], schema: str, name: str) -> tuple[int, ...]:
    """The tables that this could be; several when `orders` and `orders old` are both there."""
    beginning = in_a_line(f"{schema} {name} ")
    return tuple(each.id for each in contents if each.kind in TABLES and each.text.startswith(beginning))


def choose(contents: Sequence[Entry], tables: Collection[int]) -> Chosen:
    """What belongs to those tables and their partitions."""
    return _Choice(contents, tables).chosen()


class _Choice:
    def __init__(self, contents: Sequence[Entry], tables: Collection[int]) -> None:
        self._contents = contents
        self._all = {each.id: each for each in contents}
        self._parents = dict(self._attached())
        self._own = set(tables)
        self._spread()
        self._tables = frozenset(self._own)
        self._after: set[int] = set()

    def _attached(self) -> Iterator[tuple[int, int]]:
        """Partitions and what they are of."""
        for each in self._contents:
            ends = self._tables_of(each) if each.kind == "TABLE ATTACH" else ()
            # The line of a partition and of its attachment have the same names, and no other table has them.
            part = [end.id for end in ends if end.text == each.text]
            whole = [end.id for end in ends if end.text != each.text]
            if len(part) == len(whole) == 1:
                yield part[0], whole[0]

    def _spread(self) -> None:
        grown = True
        while grown:
            more = {part for part, whole in self._parents.items() if whole in self._own} - self._own
            self._own |= more
            grown = bool(more)

    def chosen(self) -> Chosen:
        others, left = [], []
        for each in self._contents:
            if each.id in self._own:
                continue
            if self._belongs(each):
                (self._after if self._waits(each) else self._own).add(each.id)
            elif each.needs & self._tables and each.kind == "FK CONSTRAINT":
                others.append(each.id)
            elif each.needs & self._own and each.kind not in {*_ABOUT, *_ROWS, "INDEX ATTACH"}:
                left.append(each)
        return Chosen(
            own=self._in_order(self._own),
            after=self._in_order(self._after),
            others=tuple(others),
            left=tuple(left),
            needs=tuple(self._all[id_] for id_ in self._in_order(self._needed())),
        )

    def _in_order(self, ids: Collection[int]) -> tuple[int, ...]:
        return tuple(each.id for each in self._contents if each.id in ids)

    def _tables_of(self, entry: Entry) -> tuple[Entry, ...]:
        return tuple(
            self._all[id_] for id_ in entry.needs if id_ in self._all and self._all[id_].kind in TABLES
        )

    def _belongs(self, entry: Entry) -> bool:
        if entry.kind in _ABOUT:
            return any(self._all[id_].kind not in _ROWS for id_ in entry.needs & (self._own | self._after))
        if entry.kind in {*_ROWS, "SEQUENCE"}:
            return bool(entry.needs & self._tables)
        if entry.kind in _OF_A_TABLE:
            return self._table_of(entry) in self._tables
        ends = {end.id for end in self._tables_of(entry)}
        if entry.kind == "INDEX ATTACH":  # the server does it itself for a partition that is attached
            return ends <= self._tables
        return entry.kind == "TABLE ATTACH" and any(
            self._parents.get(end) in ends for end in ends & self._tables
        )

    def _waits(self, entry: Entry) -> bool:
        if entry.kind == "TABLE ATTACH":
            return not {end.id for end in self._tables_of(entry)} <= self._tables
        return entry.kind == "FK CONSTRAINT" or bool(entry.kind in _ABOUT and entry.needs & self._after)

    def _table_of(self, entry: Entry) -> int | None:
        tables = self._tables_of(entry)
        if len(tables) > 1 and entry.kind in _NAMED_BY_TABLE:
            longest = max(tables, key=lambda table: _alike(entry.text, table.text))
            return longest.id if _alike(entry.text, longest.text) else None
        return tables[0].id if len(tables) == 1 else None

    def _needed(self) -> set[int]:
        found: set[int] = set()
        open_ = [*self._own]
        while open_:
            each = self._all[open_.pop()]
            needs = each.needs & self._all.keys() - self._own - found - {self._parents.get(each.id, 0)}
            if each.kind in {*_INDEXES, "INDEX ATTACH"}:  # of a partition, made without its parent's
                needs = frozenset(id_ for id_ in needs if self._all[id_].kind not in _INDEXES)
            found |= needs
            open_ += needs
        return found


def _alike(text: str, table: str) -> int:
    """How long the schema and name of that table are, if what has that text can be of it; else 0. Whatever is
    of a table has its owner."""
    splits = [at for at, character in enumerate(table) if character == " "]
    fitting = [at for at in splits[1:] if text.startswith(table[: at + 1]) and text.endswith(table[at:])]
    return max(fitting, default=0)


def with_what_is_about(contents: Sequence[Entry], ids: Collection[int]) -> tuple[int, ...]:
    """Those, with their comments, rights and values, in the order of the dump."""
    wanted = set(ids)
    for each in contents:
        if each.kind in _ABOUT and each.needs & wanted:
            wanted.add(each.id)
    return tuple(each.id for each in contents if each.id in wanted)
