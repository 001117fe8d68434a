"""The rules of the house that no other tool keeps."""

import ast
import tomllib
from pathlib import Path

import pytest
import yaml

from commands import COMMANDS
from runbooks.engine.runners import RUNNERS
from runbooks.spec.library import SHIPPED
from runbooks.steps import ACTIONS, CHECKS, CONTROLS, KINDS

ROOT = Path(__file__).parents[1]
PACKAGES = ("bot", "commands", "runbooks")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The top-level packages that a module imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def children(package: str) -> set[str]:
    """The modules and packages right in a package."""
    return {
        ".".join(dotted(path).split(".")[:2]) for path in MODULES if dotted(path).startswith(f"{package}.")
    }


def test_no_file_is_longer_than_400_lines() -> None:
    """A file has one reason to exist, and can be read in one sitting."""
    long = {dotted(path): lines for path in MODULES if (lines := len(path.read_text().splitlines())) > 400}

    assert long == {}


@pytest.mark.parametrize(
    ("libraries", "homes"),
    [
        ({"slack_bolt", "slack_sdk"}, ("bot.slack", "bot.sandbox")),
        ({"sqlalchemy", "alembic"}, ("runbooks.records",)),
        ({"click"}, ("bot.__main__", "bot.demo")),
        ({"rich"}, ("bot.at_terminal", "bot.terminal")),
        ({"dbos"}, ("runbooks.engine.carrier", "runbooks.records.carriage")),
        ({"lightkube"}, ("runbooks.steps.kubernetes",)),
    ],
)
def test_a_library_stays_where_it_belongs(libraries: set[str], homes: tuple[str, ...]) -> None:
    """Slack's libraries are known at the edge to Slack only, SQL in the records only."""
    strays = [
        dotted(path) for path in MODULES if imports(path) & libraries and not dotted(path).startswith(homes)
    ]

    assert strays == []


def test_the_import_contracts_name_every_module() -> None:
    """A module that is added to bot/ or runbooks/ is under the contracts as well."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    slack, sql = contracts[1]["source_modules"], contracts[2]["source_modules"]

    assert children("bot") - set(slack) == {"bot.slack", "bot.sandbox"}
    assert children("runbooks") - set(sql) == {"runbooks.records"}


@pytest.mark.parametrize("kind", sorted(CHECKS))
def test_every_step_kind_is_documented(kind: str) -> None:
    """A step kind has its place in docs/steps, with each of its fields and outputs."""
    page = (ROOT / "docs" / "steps" / f"{kind.split('.')[0]}.md").read_text()
    check = CHECKS[kind]

    assert kind in page
    fields = set(check.model_fields) - {"target", "timeout", "warning", "critical", "for_", "clear"}
    assert [name for name in sorted({*fields, *check.outputs}) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("kind", sorted(CONTROLS))
def test_every_kind_that_leads_a_run_is_documented(kind: str) -> None:
    """Each has a page with its keys and its outputs, and somebody who carries it out."""
    page = (ROOT / "docs" / "steps" / f"{kind.split('.')[0]}.md").read_text()
    control = CONTROLS[kind]

    names = {*control.written(), *getattr(control, "outputs", ())}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
    assert control in RUNNERS


@pytest.mark.parametrize("kind", sorted(ACTIONS))
def test_every_action_is_documented(kind: str) -> None:
    """An action has its place in docs/steps, with every key that people may write, and its outputs."""
    page = (ROOT / "docs" / "steps" / f"{kind.split('.')[0]}.md").read_text()
    action = ACTIONS[kind]

    assert kind in page
    fields = {*action.written(), *getattr(action, "outputs", ())} - {"target", "timeout", "grace"}
    assert [name for name in sorted(fields) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("kind", sorted(CHECKS))
def test_every_step_kind_says_what_it_is(kind: str) -> None:
    """A kind's headline is one of its outputs, and is a number, so that it can be judged and trended."""
    check = CHECKS[kind]

    assert check.outputs[check.headline].number


def examples() -> list[tuple[str, str]]:
    """The YAML examples of the pages on steps, each with where it stands."""
    found = []
    for page in sorted((ROOT / "docs" / "steps").glob("*.md")):
        for number, part in enumerate(page.read_text().split("```yaml\n")[1:]):
            found.append((f"{page.name}#{number}", part.split("```")[0]))
    return found


@pytest.mark.parametrize(("where", "text"), examples(), ids=[where for where, _ in examples()])
def test_every_example_of_a_step_is_valid(where: str, text: str) -> None:
    """What stands in the documentation can be copied."""
    from runbooks.targets import TARGET_TYPES

    data = yaml.safe_load(text)
    if text.startswith("# target"):
        for name, fields in (data.get("targets", data)).items():
            TARGET_TYPES[fields["type"]].model_validate({**fields, "name": name})
        return
    assert text.startswith("# step")
    for step in data:
        (kind,) = set(step) - {"id", "title"}
        KINDS[kind].model_validate(step[kind])


@pytest.mark.parametrize("word", sorted(COMMANDS))
def test_every_command_explains_itself(word: str) -> None:
    """A command has a summary, a paragraph and examples that begin with its word."""
    command = COMMANDS[word]

    assert command.word == word
    assert command.summary
    assert len(command.about) > 40
    assert all(typed.split()[0] == word for typed, _ in command.examples)


def test_every_shipped_runbook_has_a_purpose_and_an_owner() -> None:
    """Who is tired reads why a runbook exists and whom to ask."""
    for path in SHIPPED.rglob("*.yaml"):
        if path.stem.endswith(".test"):
            continue
        runbook = yaml.safe_load(path.read_text())
        assert runbook["purpose"], path
        assert runbook["owner"], path
