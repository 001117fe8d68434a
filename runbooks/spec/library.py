"""The runbooks that ship, and a team's own, which replace shipped ones of the same name."""

from collections.abc import Mapping
from pathlib import Path

from runbooks.errors import ConfigError, Fault
from runbooks.spec.runbook import Kinds, Runbook, TargetTypes, parse_runbook
from runbooks.spec.source import read
from runbooks.steps import KINDS

SHIPPED = Path(__file__).parent.parent / "library"


def load_library(
    own: Path | None, targets: TargetTypes, *, kinds: Kinds = KINDS, shipped: Path = SHIPPED
) -> Mapping[str, Runbook]:
    """Every runbook by its name; raises ConfigError with every fault of every file. Blocks."""
    runbooks: dict[str, Runbook] = {}
    faults: list[Fault] = []
    for folder in (shipped, own):
        if folder is not None:
            found, wrong = _load_folder(folder, kinds, targets)
            runbooks |= found
            faults += wrong
    if faults:
        raise ConfigError(faults)
    return dict(sorted(runbooks.items()))


def _load_folder(folder: Path, kinds: Kinds, targets: TargetTypes) -> tuple[dict[str, Runbook], list[Fault]]:
    runbooks: dict[str, Runbook] = {}
    faults: list[Fault] = []
    for path in _files(folder):
        try:
            document = read(path)
            runbook = parse_runbook(document, kinds, targets)
        except ConfigError as error:
            faults += error.faults
            continue
        if runbook.name in runbooks:
            message = f"there is a runbook `{runbook.name}` in {runbooks[runbook.name].path} already"
            faults.append(document.fault(("name",), message))
        else:
            runbooks[runbook.name] = runbook
    return runbooks, faults


def files_of_tests(folder: Path) -> list[Path]:
    """The files of tests in a folder of runbooks. Blocks."""
    return [path for path in _yaml_files(folder) if path.stem.endswith(".test")]


def _files(folder: Path) -> list[Path]:
    # A runbook's own tests stand beside it, and are read by whoever runs them.
    return [path for path in _yaml_files(folder) if not path.stem.endswith(".test")]


def _yaml_files(folder: Path) -> list[Path]:
    # Kubernetes mounts a folder's files as links into a hidden one: each would be found twice.
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in (".yaml", ".yml")
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not path.is_dir()
    )
