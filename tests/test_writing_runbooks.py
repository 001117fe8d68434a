"""The page on writing runbooks: what it shows works, and what it lists is what there is."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from bot.authoring import findings
from bot.settings import Loaded, Settings, load_settings
from runbooks.rehearsal.case import Cases
from runbooks.rehearsal.reading import file_beside
from runbooks.rehearsal.rehearse import load, rehearse
from runbooks.rehearsal.stage import World
from runbooks.spec.key_words import MEANINGS
from runbooks.spec.model import Spec
from runbooks.spec.params import parse_params
from runbooks.spec.plan import make_plan
from runbooks.spec.schema import model_schema, runbook_schema, settings_schema
from runbooks.spec.source import parse
from runbooks.steps.action import Action
from tests.keys_in_docs import PAGE, as_it_should_be

TEXT = PAGE.read_text(encoding="utf-8")
#: What is typed for the parameters that must be given.
GIVEN = {
    "clean-logs": {"host": "web-1"},
    "reboot-web": {"host": "web-2"},
    "release-shop": {"version": "2.0.0"},
}


def files() -> Iterator[tuple[str, str]]:
    """The examples that are files: where each belongs, and its text."""
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL):
        first, _, rest = block.partition("\n")
        assert first.startswith("# "), f"an example without its name: {first}"
        yield first.removeprefix("# "), rest


RUNBOOKS = [Path(name).stem for name, _ in files() if name.startswith("runbooks/") and ".test." not in name]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """All examples together, as `maint check` reads them."""
    (tmp_path / "runbooks").mkdir()
    for name, text in files():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return load_settings(tmp_path / "maint.yaml", {})


@pytest.mark.parametrize("name", RUNBOOKS)
def test_an_example_can_be_planned(name: str, loaded: Loaded) -> None:
    """It is read without a fault, and every step has something to do."""
    runbook, targets = loaded.runbooks[name], loaded.settings.targets
    plan = make_plan(runbook, parse_params(runbook.params, GIVEN.get(name, {}), targets), targets)

    assert plan.steps
    assert plan.locks


@pytest.mark.parametrize("name", RUNBOOKS)
def test_an_example_has_no_trap(name: str, loaded: Loaded) -> None:
    """What people copy is right; the one that shows how to silence a rule does."""
    found = findings(loaded, [name])

    assert [str(finding) for finding in found if finding.level == "error" and not finding.silenced] == []
    assert any(finding.silenced for finding in found) == (name == "shrink-table")


def test_the_tests_on_the_page_pass(loaded: Loaded) -> None:
    """Each of them, and they are several."""
    world = World(targets=loaded.settings.targets, channels={})
    books = loaded.runbooks.values()
    tests = [(each, load(each, path)) for each in books if (path := file_beside(each.path))]
    judgements = asyncio.run(rehearse(tests, world))

    assert len(judgements) > 4
    assert {each.name: [str(fault) for fault in each.faults] for each in judgements if not each.passed} == {}


@pytest.mark.parametrize(("name", "text"), list(files()), ids=[name for name, _ in files()])
def test_an_example_fits_its_schema(name: str, text: str) -> None:
    """The editor underlines nothing of it."""
    schema = runbook_schema()
    if name == "maint.yaml":
        schema = settings_schema(Settings)
    elif ".test." in name:
        schema = model_schema(Cases, "tests")

    wrong = Draft202012Validator(schema).iter_errors(parse(text.encode(), name).data)
    assert [fault.message for fault in wrong] == []


@pytest.mark.parametrize(
    "model", [each for each in MEANINGS if each is not Action], ids=lambda each: each.__name__
)
def test_every_key_has_its_meaning(model: type[Spec]) -> None:
    """A key that is added is explained, and none that is gone."""
    assert {*MEANINGS[model]} - {"steps", "rollback"} == {*model.written()} - {"steps", "rollback"}


def test_the_keys_are_those_of_the_models() -> None:
    """`make docs` writes them."""
    assert as_it_should_be(TEXT) == TEXT
