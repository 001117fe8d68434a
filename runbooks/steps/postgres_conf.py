"""What stands in a postgresql.conf, and whether a server's setting is just that, in whatever unit."""

import math
import re
from dataclasses import dataclass

#: Settings whose values may hold a secret: they are compared, and never shown.
SECRET = frozenset(
    (
        "archive_cleanup_command",
        "archive_command",
        "krb_server_keyfile",
        "primary_conninfo",
        "recovery_end_command",
        "restore_command",
        "ssl_passphrase_command",
    )
)
_LINE = re.compile(
    r"""\s*(?:(?P<name>[A-Za-z_][\w.]*)\s*=?\s*
        (?P<value>'(?:[^'\\\n]|''|\\.)*' | [^\s'\#]+ )?)?\s*(?:\#.*)?""",
    re.VERBOSE,
)
_DIRECTIVES = ("include", "include_if_exists", "include_dir")
_NUMBER = re.compile(r"\s*([+-]?(?:0x[0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+))\s*([A-Za-z]*)\s*")
#: Bytes, and microseconds.
_MEMORY = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_TIME = {"us": 1, "ms": 1e3, "s": 1e6, "min": 60e6, "h": 3600e6, "d": 86400e6}
_ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0")


@dataclass(frozen=True)
class Conf:
    """The settings by name, the last one of a name; `faults` are the lines that say nothing to us."""

    settings: dict[str, str]
    faults: tuple[str, ...]


def read_conf(text: str) -> Conf:
    """What the file says. https://www.postgresql.org/docs/current/config-setting.html"""
    settings: dict[str, str] = {}
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINE.fullmatch(line)
        if found is None or (found["name"] and found["value"] is None):
            faults.append(f"line {number} cannot be read")
        elif found["name"] and found["name"].lower() in _DIRECTIVES:
            faults.append(f"line {number} includes another file, which is not looked at")
        elif found["name"]:
            settings[found["name"].lower()] = _unquoted(found["value"])
    return Conf(settings, tuple(faults))


def _unquoted(value: str) -> str:
    if not value.startswith("'"):
        return value
    return re.sub(r"''|\\(.)", lambda found: found[1] or "'", value[1:-1])


def same(wanted: str, setting: str, unit: str | None, type_: str) -> bool:
    """Whether a server whose pg_settings has `setting` (in `unit`, of `type_`) has what is wanted."""
    if type_ == "bool":
        return _truth(wanted) is not None and _truth(wanted) == _truth(setting)
    if type_ in ("integer", "real"):
        asked, has = in_unit(wanted, unit), in_unit(setting, None)
        if asked is None or has is None:
            return False
        if type_ == "integer":
            return math.floor(asked + 0.5) == has
        return math.isclose(asked, has, rel_tol=1e-6, abs_tol=1e-12)
    if type_ == "enum":
        both = _truth(wanted), _truth(setting)
        return wanted.lower() == setting.lower() or (None not in both and both[0] == both[1])
    return wanted == setting


def _truth(value: str) -> bool | None:
    # Any beginning that is clear will do, says the manual; `o` alone is not.
    word = value.strip().lower()
    if word and word != "o":
        if any(each.startswith(word) for each in _ON):
            return True
        if any(each.startswith(word) for each in _OFF):
            return False
    return None


def in_unit(value: str, unit: str | None) -> float | None:
    """The number, counted in the setting's own unit (`8kB`, `ms`); None when it is no number, or the units
    do not go together."""
    found = _NUMBER.fullmatch(value)
    if found is None:
        return None
    written, suffix = found.groups()
    number = float(int(written, 16)) if "0x" in written.lower() else float(written)
    if not suffix:
        return number
    base = re.fullmatch(r"(\d*)(\w+)", unit or "")
    for table in (_MEMORY, _TIME):
        if base and suffix in table and base[2] in table:
            return number * table[suffix] / (int(base[1] or 1) * table[base[2]])
    return None


def spoken(setting: str, unit: str | None) -> str:
    """A setting of pg_settings for people: `128MB` for 16384 of 8kB."""
    base = re.fullmatch(r"(\d*)(\w+)", unit or "")
    number = in_unit(setting, None)
    if base is None or number is None or number <= 0:
        return f"{setting}{unit or ''}" if number and number > 0 else setting
    for table in (_MEMORY, _TIME):
        if base[2] in table:
            whole = number * int(base[1] or 1) * table[base[2]]
            for name, size in reversed(table.items()):
                if whole >= size and whole % size == 0:
                    return f"{whole / size:.0f}{name}"
    return f"{setting} × {unit}"
