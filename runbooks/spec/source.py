"""A YAML file as plain data, with the place of every key and value. All faults at once.

Only YAML 1.2's core schema is read: `true` and `false` are booleans, `no` and `on` are texts, and
`12:30:00` is a text. PyYAML scans and parses; what a scalar means is decided here, because its own
constructors follow YAML 1.1, keep the last of two equal keys, and build Python objects from tags.
"""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from runbooks.errors import ConfigError, Fault
from runbooks.spec.references import BrokenReference, resolve
from runbooks.spec.syntax import explain

#: Bytes. A file of a thousand targets has a tenth of it.
LARGEST_FILE = 512 * 1024
#: Values after aliases are expanded: nine lines of aliases of aliases would otherwise fill the memory.
MOST_VALUES = 100_000
#: Maps and lists inside each other. The deepest thing that a runbook can say needs eight.
DEEPEST = 40

#: The way to a value: `("targets", "db", "url")`, `("steps", 0, "id")`.
KeyPath = tuple[str | int, ...]

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,30}|0o[0-7]{1,30}|0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")


def core_value(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar means in YAML 1.2's core schema; `.inf` and `.nan` stay texts."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text[0] in "tT"
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    return float(text) if _FLOAT.fullmatch(text) else text


@dataclass(frozen=True)
class Mark:
    """A place in a file. Both count from 1, as editors do."""

    line: int
    column: int


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file that was read. `faults` has what is wrong with its YAML; the rest of it can still be judged."""

    path: str
    digest: str  # sha256 of the bytes
    data: Any = field(repr=False)  # holds secrets after references are resolved
    keys: Mapping[KeyPath, Mark] = field(repr=False)  # where the key of that value stands
    values: Mapping[KeyPath, Mark] = field(repr=False)  # where the value stands
    numerals: Mapping[KeyPath, str] = field(repr=False)  # numbers as they are written: `1.10`
    references: frozenset[KeyPath] = field(repr=False)  # values from references
    broken: frozenset[KeyPath] = field(repr=False)  # values that could not be resolved
    secrets: frozenset[str] = field(repr=False)  # texts of secret files
    faults: tuple[Fault, ...]
    text: str = field(default="", repr=False)
    #: Values that were filled in for `{{ references }}`; and of those that stand for something not known yet,
    #: what that is, in words.
    filled: frozenset[KeyPath] = field(default=frozenset(), repr=False)
    stand_ins: Mapping[KeyPath, str] = field(default_factory=dict, repr=False)

    def mark(self, path: KeyPath) -> Mark:
        """Where that is: the key of a map or list, a plain value itself, else the nearest thing above."""
        value = self.get(path)
        first, second = self.values, self.keys
        if isinstance(value, dict | list):
            first, second = second, first
        found = first.get(path) or second.get(path)
        return found or (self.mark(path[:-1]) if path else Mark(1, 1))

    def get(self, path: KeyPath) -> Any:
        """The value there, or None."""
        value = self.data
        for step in path:
            inside = step in value if isinstance(value, dict) else False
            if isinstance(value, list) and isinstance(step, int):
                inside = step < len(value)
            if not inside:
                return None
            value = value[step]
        return value

    def fault(self, path: KeyPath, message: str, hint: str = "", *, at_key: bool = False) -> Fault:
        """A fault of what is there."""
        mark = self.keys.get(path) if at_key else None
        mark = mark or self.mark(path)
        return Fault(self.path, mark.line, mark.column, message, hint)


def read(path: Path, environ: Mapping[str, str] | None = None) -> Document:
    """Reads a YAML file; raises ConfigError when it cannot be read or is not YAML. Blocks.

    References are resolved from `environ`; without one, `${NAME}` stays as it is.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError([Fault(str(path), 0, 0, "this is not a regular file")])
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError([Fault(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from error
    return parse(content, str(path), environ, path.parent)


def parse(
    content: bytes, path: str, environ: Mapping[str, str] | None = None, folder: Path = Path()
) -> Document:
    """Reads YAML from bytes, as `read` does; `path` is for the faults, `folder` where secret files are."""
    if len(content) > LARGEST_FILE:
        raise ConfigError([Fault(path, 0, 0, f"the file is larger than {LARGEST_FILE // 1024} KiB")])
    nodes = _compose(content, path)
    builder = _Builder(path, environ, folder)
    data = builder.build(nodes[0], ()) if nodes else None
    if not nodes:
        builder.faults.append(Fault(path, 1, 1, "the file is empty"))
    for extra in nodes[1:]:
        mark = extra.start_mark
        message = "a second document begins here; a file holds one"
        builder.faults.append(Fault(path, mark.line + 1, mark.column + 1, message, "remove the `---`"))
    return Document(
        path=path,
        digest=sha256(content).hexdigest(),
        data=data,
        keys=builder.keys,
        values=builder.values,
        numerals=builder.numerals,
        references=frozenset(builder.references),
        broken=frozenset(builder.broken),
        secrets=frozenset(builder.secrets),
        faults=tuple(builder.faults),
        text=content.decode(),
    )


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """Composes nodes. A node without a tag of its own gets none, and depth has an end."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self._depth = 0

    def resolve(self, *_: object) -> str:
        return ""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self._depth == DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=f"more than {DEEPEST} levels", problem_mark=mark)
        self._depth += 1
        node = Composer.compose_node(self, parent, index)
        self._depth -= 1
        return node


def _compose(content: bytes, path: str) -> list[yaml.Node]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _place(content[: error.start].decode("utf-8-sig"))
        raise ConfigError([Fault(path, line, column, "this is not UTF-8 text")]) from None
    nodes: list[yaml.Node] = []
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            assert node is not None  # check_node said that there is one
            nodes.append(node)
    except ReaderError as error:
        line, column = _place(text[: error.position])
        message = f"the character U+{ord(text[error.position]):04X} cannot stand in a file like this"
        raise ConfigError([Fault(path, line, column, message)]) from None
    except yaml.MarkedYAMLError as error:
        fault = explain(error)
        raise ConfigError([Fault(path, fault.line, fault.column, fault.message, fault.hint)]) from None
    except (ValueError, OverflowError):  # PyYAML on `\Uffffffff`, and on a %YAML version without end
        mark = loader.get_mark()
        message = "this number or escape cannot be read"
        raise ConfigError([Fault(path, mark.line + 1, mark.column + 1, message)]) from None
    return nodes


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


class _Builder:
    """Plain data from nodes; what is wrong is noted, and left out of the data."""

    def __init__(self, path: str, environ: Mapping[str, str] | None, folder: Path) -> None:
        self.faults: list[Fault] = []
        self.keys: dict[KeyPath, Mark] = {}
        self.values: dict[KeyPath, Mark] = {}
        self.numerals: dict[KeyPath, str] = {}
        self.references: set[KeyPath] = set()
        self.broken: set[KeyPath] = set()
        self.secrets: set[str] = set()
        self._path = path
        self._environ = environ
        self._folder = folder
        self._open: list[yaml.Node] = []
        self._count = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count += 1
        if self._count > MOST_VALUES:
            message = f"the aliases in this file make more than {MOST_VALUES:,} values"
            raise ConfigError([self._fault(node, message)])
        self.values[path] = _mark(node)
        if node.tag:
            self._note(
                node, "tags like !this are not read here", "put quotes around a text that begins with !"
            )
            self.broken.add(path)
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if any(node is above for above in self._open):
            self._note(node, "this contains itself")
            self.broken.add(path)
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._map(node, path)
        finally:
            self._open.pop()

    def _map(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key in data:
                first = self.keys[(*path, key)].line
                self._note(key_node, f"`{key}` is here twice; the first is in line {first}")
                continue
            self.keys[(*path, key)] = _mark(key_node)
            data[key] = self.build(value_node, (*path, key))
        return data

    def _key(self, node: yaml.Node) -> str | None:
        if node.tag:
            self._note(node, "tags like !this are not read here")
        elif not isinstance(node, yaml.ScalarNode):
            self._note(node, "a key is a text", "put quotes around {{ … }} and other text in brackets")
        elif node.style is None and node.value == "<<":
            self._note(node, "merge keys (<<) are not read here", "write the keys out")
        elif node.style is None and not isinstance(core_value(node.value), str):
            self._note(node, "a key is a text", f"put quotes around it: '{node.value}'")
        elif not self._is_text(node):
            return None
        else:
            return str(node.value)
        return None

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = str(node.value)
        plain = node.style is None
        if not self._is_text(node):
            self.broken.add(path)
            return None
        if self._environ is not None:
            try:
                resolved = resolve(text, self._environ, self._folder)
            except BrokenReference as error:
                self._note(node, error.message, error.hint)
                self.broken.add(path)
                return None
            if resolved is not None:
                self.references.add(path)
                if resolved.secret:
                    self.secrets.add(resolved.text)
                return resolved.text
        value = core_value(text) if plain else text
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.numerals[path] = text
        return value

    def _is_text(self, node: yaml.ScalarNode) -> bool:
        try:
            node.value.encode()
        except UnicodeEncodeError:  # "\ud800" in double quotes: half a character
            self._note(node, "this escape is no character")
            return False
        return True

    def _note(self, node: yaml.Node, message: str, hint: str = "") -> None:
        self.faults.append(self._fault(node, message, hint))

    def _fault(self, node: yaml.Node, message: str, hint: str = "") -> Fault:
        mark = _mark(node)
        return Fault(self._path, mark.line, mark.column, message, hint)


def _mark(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)
