"""Traps of the shell: what a parameter becomes on a command line, and commands that reach too far."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile

import regex

from runbooks.spec.lint.finding import Found, Level, Rule, StepAt
from runbooks.spec.lint.shell import SHELLS, Line, Simple, shell_text
from runbooks.spec.params import Single
from runbooks.spec.placeholders import mentioned, names_in

#: What a parameter might be given that a program takes for an option.
_OPTIONS = ("-x", "--help", "-rf", "--upload-file=/etc/passwd", "-")
_SQL_CLIENTS = {"psql": "-c", "mysql": "-e", "mariadb": "-e", "sqlite3": ""}
_TESTS = ("-maxdepth", "-mtime", "-mmin", "-name", "-iname", "-newer", "-size", "-path", "-regex", "-empty",
          "-ctime", "-cmin", "-inum", "-newermt", "-samefile")  # fmt: skip


def each(look: Callable[[Simple], bool]) -> Callable[[StepAt], Iterable[Found]]:
    """A rule about single commands: where one of them is so."""

    def found(at: StepAt) -> Iterator[Found]:
        for line in at.lines:
            for command in line.commands:
                if look(command):
                    yield line.mark, f"`{' '.join(command.words)[:60]}`"

    return found


def text(pattern: str) -> Callable[[StepAt], Iterable[Found]]:
    """A rule about what stands in a line, whoever reads it."""
    searched = re.compile(pattern, re.IGNORECASE)

    def found(at: StepAt) -> Iterator[Found]:
        for line in at.lines:
            if match := searched.search(line.text):
                yield line.mark, f"`{match[0].strip()[:60]}`"

    return found


def _secret_in_argv(at: StepAt) -> Iterator[Found]:
    if at.step.kind != "command":
        return
    for index, word in enumerate(at.step.fields.get("run", ())):
        for name in at.step.secrets.intersection(mentioned(word)):
            yield at.mark("run", index), f"`{name}`"


def _shell_with_parameter(at: StepAt) -> Iterator[Found]:
    for line in at.lines:
        for command in line.commands:
            given = shell_text(command)
            if given is not None and not line.script and names_in(given):
                yield line.mark, f"`{command.program}` reads {', '.join(names_in(given))}"


def _sql_with_parameter(at: StepAt) -> Iterator[Found]:
    variables = _from_outside(at)
    for line in at.lines:
        for command in line.commands:
            option = _SQL_CLIENTS.get(command.program)
            if option is None or (option and not command.has(option, "--command", "--execute")):
                continue
            for word in command.arguments:
                if " " in word and _from_reference(word, variables, line):
                    yield line.mark, f"`{command.program}`"


def _program_from_parameter(at: StepAt) -> Iterator[Found]:
    run = at.step.fields.get("run")
    if at.step.kind == "command" and isinstance(run, list | tuple) and run and mentioned(run[0]):
        yield at.mark("run", 0), f"`{run[0]}`"


def _option_from_parameter(at: StepAt) -> Iterator[Found]:
    run = at.step.fields.get("run")
    if at.step.kind != "command" or not isinstance(run, list | tuple):
        return
    before = list(takewhile(lambda word: word != "--", run))
    for index, word in enumerate(before):
        if index == 0 or not isinstance(word, str) or not word.lstrip().startswith("{{"):
            continue
        if index == 1 + _script_at(run) and _script_at(run):
            continue  # `sh -c TEXT $0`: no program reads that word's dashes
        name = names_in(word)[0]
        if _may_be_option(at, name):
            yield at.mark("run", index), f"`{name}`"


def _script_at(run: Iterable[object]) -> int:
    """Where the text stands that a shell of an argument list reads; 0 when there is none."""
    words = [str(word) for word in run]
    if words[0].rpartition("/")[2] in SHELLS:
        for index, word in enumerate(words[1:-1], 1):
            if word.startswith("-") and word.endswith("c"):
                return index + 1
    return 0


def _may_be_option(at: StepAt, name: str) -> bool:
    root, _, rest = name.partition(".")
    if root == "steps":
        return True
    param: Single | None = at.runbook.params.get(rest) if root == "params" else None
    if name == "item":
        source = names_in(at.step.for_each) if isinstance(at.step.for_each, str) else ()
        listed = at.runbook.params.get(source[0].partition(".")[2]) if source else None
        if listed is None or listed.type != "list":
            return bool(source)
        param = listed.items or Single()
    if param is None or param.type not in ("string", "choice"):
        return False
    if param.choices:
        return any(choice.startswith("-") for choice in param.choices)
    if param.pattern is None:
        return True
    compiled = regex.compile(param.pattern)
    return any(compiled.fullmatch(option) for option in _OPTIONS)


def _removes_parameter(at: StepAt) -> Iterator[Found]:
    variables = _from_outside(at)
    for line in at.lines:
        for command in line.commands:
            if command.program == "rm" and command.has("-r", "-R", "--recursive"):
                given = [word for word in command.arguments if _from_reference(word, variables, line)]
                if given:
                    yield line.mark, f"`{given[0]}`"


def _from_outside(at: StepAt) -> frozenset[str]:
    """The variables of a script whose values are references."""
    given = at.step.fields.get("environment")
    given = given if isinstance(given, dict) else {}
    return frozenset(name for name, value in given.items() if mentioned(value))


def _from_reference(word: str, variables: frozenset[str], line: Line) -> bool:
    if not line.script:
        return bool(names_in(word))
    # A script holds no references, but braces of other tools.
    return any(name in variables for name in re.findall(r"\$\{?(\w+)", word))


def _deletes_without_bounds(command: Simple) -> bool:
    words = command.arguments
    if command.program != "find":
        return False
    for index, word in enumerate(words):
        removes = word in ("-exec", "-execdir") and words[index + 1 : index + 2] in (("rm",), ("/bin/rm",))
        if word == "-delete" or removes:
            return not any(test.startswith(_TESTS) for test in words[:index])
    return False


def _long_sleep(command: Simple) -> bool:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    seconds = 0.0
    for word in command.arguments if command.program == "sleep" else ():
        if match := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", word):
            seconds += float(match[1]) * units[match[2] or "s"]
    return seconds >= 60


def _piped_into_shell(command: Simple) -> bool:
    source = command.piped_from
    return command.program in SHELLS and source is not None and source.program in ("curl", "wget")


def _silent_curl(command: Simple) -> bool:
    return command.program == "curl" and not command.has("-f", "--fail", "--fail-with-body", "-w")


COMMAND_RULES = (
    Rule(
        id="secret-in-argv",
        level=Level.ERROR,
        happens="every process on that host can read the arguments of a program, and its shell may keep them",
        instead="hand it over in `environment:` or `stdin:`",
        look=_secret_in_argv,
    ),
    Rule(
        id="shell-with-parameter",
        level=Level.ERROR,
        happens="a value like `$(reboot)` or `; reboot` becomes a command",
        instead='a `script` with the value in `environment:` and "$NAME" in it; or $0 and $1 behind the text',
        look=_shell_with_parameter,
    ),
    Rule(
        id="sql-with-parameter",
        level=Level.ERROR,
        happens="a value with a quote in it becomes SQL",
        instead="`psql -v name=VALUE`, the statement on `stdin:`, and :'name' in it",
        look=_sql_with_parameter,
    ),
    Rule(
        id="program-from-parameter",
        level=Level.ERROR,
        happens="whoever starts the run says which program runs",
        instead="write the program out; `when:` with one step for each, if there are several",
        look=_program_from_parameter,
    ),
    Rule(
        id="option-from-parameter",
        level=Level.WARNING,
        happens="a value that begins with a dash is read as an option of the program",
        instead="put `--` before it, or declare a `pattern:` or `choices:` without a dash at the beginning",
        look=_option_from_parameter,
    ),
    Rule(
        id="rm-parameter",
        level=Level.ERROR,
        happens="one wrong or empty value removes something else, with everything in it",
        instead="a folder that is written out, `find FOLDER -mindepth 1 -maxdepth 1 -name … -mtime +N`",
        look=_removes_parameter,
    ),
    Rule(
        id="find-delete",
        level=Level.ERROR,
        happens="it removes everything below that folder: conditions behind `-delete` come too late",
        instead="`-maxdepth`, `-name` and `-mtime` before `-delete`; print the list first",
        look=each(_deletes_without_bounds),
    ),
    Rule(
        id="long-sleep",
        level=Level.WARNING,
        happens="it dies with its process, nobody can end it early, and a restart begins it anew",
        instead="a `wait` or `soak` step: its end is a time in the database",
        look=each(_long_sleep),
    ),
    Rule(
        id="curl-to-shell",
        level=Level.ERROR,
        happens="whatever that address answers is run, an error page or half a file too",
        instead="download, compare a checksum, then run",
        look=each(_piped_into_shell),
    ),
    Rule(
        id="curl-fail",
        level=Level.WARNING,
        happens="an answer of 404 or 500 is exit code 0",
        instead="an `http.request` or `http.probe` step, or `curl --fail`",
        look=each(_silent_curl),
    ),
)
