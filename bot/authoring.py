"""What people use at the terminal who write runbooks: schemas for their editor, the traps, and the tests."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.settings import Loaded, Settings, load_settings
from commands.words import counted
from runbooks.errors import ConfigError, Fault, UsageError
from runbooks.nearest import nearest
from runbooks.rehearsal.case import Cases
from runbooks.rehearsal.reading import TestFile, file_beside
from runbooks.rehearsal.rehearse import load, rehearse
from runbooks.rehearsal.stage import World
from runbooks.rehearsal.verdict import Judgement
from runbooks.spec.keys_page import page
from runbooks.spec.library import SHIPPED, files_of_tests
from runbooks.spec.lint import Finding, Level, lint
from runbooks.spec.runbook import Runbook
from runbooks.spec.schema import model_schema, runbook_schema, settings_schema

Say = Callable[[str], None]


def schema(of: str) -> str:
    """The JSON Schema of `runbook`s, of `settings` or of `tests`, as JSON; or every key as `markdown`."""
    if of == "markdown":
        return page()
    makers: Mapping[str, Callable[[], dict[str, Any]]] = {
        "runbook": runbook_schema,
        "settings": lambda: settings_schema(Settings),
        "tests": lambda: model_schema(Cases, "Tests of a runbook of Maint"),
    }
    return json.dumps(makers[of](), indent=2, ensure_ascii=False)


def findings(loaded: Loaded, names: Iterable[str] = ()) -> tuple[Finding, ...]:
    """What the rules find in those runbooks. Raises UsageError for names that are none.

    Without names: in all that can be run. Of a shipped one that does not fit these settings it is said what
    is lacking, and nothing in it is the team's to mend.
    """
    roles = {name: role.members for name, role in loaded.settings.roles.items()}
    return tuple(each for runbook in _looked_at(loaded, names) for each in lint(runbook, roles))


def _looked_at(loaded: Loaded, names: Iterable[str]) -> list[Runbook]:
    if named := tuple(names):
        return _named(loaded.runbooks, named)
    return [runbook for name, runbook in loaded.runbooks.items() if name not in loaded.unfit]


def lint_runbooks(
    config: Path, environ: Mapping[str, str], names: tuple[str, ...], say: Say, *, as_json: bool
) -> int:
    """Says what the rules find; 1 when something of it is an error, else 0."""
    loaded = load_settings(config, environ)
    found = findings(loaded, names)
    heard = [finding for finding in found if not finding.silenced]
    errors = sum(finding.level is Level.ERROR for finding in heard)
    if as_json:
        say(json.dumps([_as_data(finding) for finding in found], indent=2, ensure_ascii=False))
        return int(errors > 0)
    for finding in found:
        say(str(finding))
    silenced = len(found) - len(heard)
    counts = [counted(errors, "error"), counted(len(heard) - errors, "warning")]
    counts += [f"{silenced} silenced"] if silenced else []
    looked = len(_looked_at(loaded, names))
    say(f"{', '.join(counts)} in {counted(looked, 'runbook')}.")
    return int(errors > 0)


def _as_data(finding: Finding) -> dict[str, Any]:
    fault = finding.fault
    return {
        "rule": finding.rule,
        "level": finding.level,
        "path": fault.path,
        "line": fault.line,
        "column": fault.column,
        "message": fault.message,
        "instead": fault.hint,
        "silenced": finding.silenced,
    }


def run_tests(
    config: Path, environ: Mapping[str, str], names: tuple[str, ...], say: Say, *, as_json: bool
) -> int:
    """Carries out the tests beside those runbooks, beside all of them without names; 1 when one fails.

    Raises ConfigError for tests that do not fit their runbook.
    """
    loaded = load_settings(config, environ)
    files = _test_files(loaded, names)
    world = World(targets=loaded.settings.targets, channels=loaded.settings.slack.channels)
    told = (lambda _: None) if as_json else (lambda judgement: say(_told(judgement)))
    judgements = asyncio.run(rehearse(files, world, told))
    failed = sum(not judgement.passed for judgement in judgements)
    if as_json:
        say(json.dumps([asdict(judgement) for judgement in judgements], indent=2, ensure_ascii=False))
    else:
        say(f"{len(judgements) - failed} passed, {failed} failed. Nothing was touched.")
    return int(failed > 0)


def _test_files(loaded: Loaded, names: tuple[str, ...]) -> list[tuple[Runbook, TestFile]]:
    files: list[tuple[Runbook, TestFile]] = []
    faults: list[Fault] = [] if names else list(_orphans(loaded))
    for runbook in _named(loaded.runbooks, names):
        path = file_beside(runbook.path)
        if path is None:
            if names:
                beside = Path(runbook.path).with_suffix(".test.yaml")
                raise UsageError(f"{runbook.name} has no tests: they stand in {beside}.")
            continue
        try:
            files.append((runbook, load(runbook, path)))
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return files


def _orphans(loaded: Loaded) -> Iterable[Fault]:
    """Files of tests with no runbook beside them: nobody would ever carry them out."""
    own = loaded.settings.runbooks
    for folder in (SHIPPED, *([Path(own)] if own else [])):
        for path in files_of_tests(folder):
            runbook = path.name.removesuffix(path.suffix).removesuffix(".test")
            if not any(path.with_name(f"{runbook}{suffix}").is_file() for suffix in (".yaml", ".yml")):
                yield Fault(str(path), 0, 0, f"there is no {runbook}.yaml beside it")


def _told(judgement: Judgement) -> str:
    mark = "✔" if judgement.passed else "✖"
    lines = [f"{mark} {judgement.runbook}: {judgement.name} ({judgement.seconds:.1f} s)"]
    return "\n".join([*lines, *(f"    {fault}" for fault in judgement.faults)])


def _named(runbooks: Mapping[str, Runbook], names: Iterable[str]) -> list[Runbook]:
    wanted = tuple(names)
    for name in wanted:
        if name not in runbooks:
            meant = nearest(name, runbooks)
            hint = f"Did you mean {meant}?" if meant else f"There are: {', '.join(runbooks)}."
            raise UsageError(f"There is no runbook {name[:60]!r}. {hint}")
    return [runbooks[name] for name in wanted or runbooks]
