"""A runbook's own tests: the engine carries the run out, and nothing outside is touched."""

from pathlib import Path
from typing import Any

import pytest

from runbooks.errors import ConfigError
from runbooks.rehearsal.reading import file_beside
from runbooks.rehearsal.rehearse import load, rehearse
from runbooks.rehearsal.stage import World
from runbooks.spec.library import SHIPPED, load_library
from tests.rehearsal.conftest import Rehearse

RUNBOOK = """
    name: a
    title: A {{ params.version }}
    params:
      version: {pattern: '\\d+'}
      where: {type: choice, choices: [staging, production], default: production}
      token: {secret: true, required: false}
    locks: [app]
    steps:
      - id: prepare
        command: {target: web-1, run: [prepare], repeatable: true, outputs: {key: {pattern: 'K=(.*)'}}}
        rollback: {command: {target: web-1, run: [unprepare, '{{ steps.prepare.key }}'], repeatable: true}}
      - id: note
        when: {params.where: {equals: staging}}
        slack.message: {text: staging}
      - id: look
        skippable: true
        http.probe: {target: app, critical: {elapsed_ms: {above: 2000}}}
      - id: each
        for_each: [x, y]
        command: {target: web-1, run: [act, '{{ item }}']}
      - id: scale
        kubernetes.scale: {target: cluster, deployment: app, replicas: 3}
      - id: go
        gate: {approvers: [sre], quorum: 2, expires: 4h}
      - id: shift
        rollout:
          target: app
          to: '{{ params.version }}'
          soak: 1h
          verify: [{http.probe: {target: app, critical: {elapsed_ms: {above: 2000}}}}]
          between: {gate: {approvers: [sre]}}
      - id: sign
        manual: {instructions: Sign it., evidence: required, expires: 1d}
      - id: watch
        soak: {for: 24h, every: 5m, checks: [shift.verify], failures: 2}
    rollback:
      - id: tell
        slack.message: {text: back}
"""

ALL = "[prepare, look, 'each[0]', 'each[1]', scale, go, shift, sign, watch]"
YES = "gates: {go: approved, shift: approved}, answers: {sign: done}"

GOOD = {
    "everything goes well": f"""
        given: {{params: {{version: 1, token: abcdefgh}}, {YES}}}
        expect: {{state: succeeded, path: {ALL}, skipped: {{note: where is production}}, rollback: []}}
    """,
    "a condition that holds": f"""
        given: {{params: {{version: 1, where: staging}}, {YES}}}
        expect: {{state: succeeded, skipped: {{}}}}
    """,
    "a bad version is taken back at once": """
        given:
          params: {version: 1}
          results: {shift: {failed: 7 % errors, at: 25}, prepare: {outputs: {key: k7}}}
          gates: {go: approved, shift: approved}
        expect:
          state: rolled_back
          path: [prepare, look, 'each[0]', 'each[1]', scale, go, {shift: failed}]
          rollback: [shift, scale, prepare, tell]
          says: {shift: '25 %', 'rollback:shift': ''}
    """,
    "who says no at a stage": """
        given: {params: {version: 1}, gates: {go: approved, shift: [approved, rejected]}}
        expect: {state: rolled_back, says: {shift: rejected}}
    """,
    "a gate of which nothing is said waits": """
        given: {params: {version: 1}}
        expect: {state: waiting, path: [prepare, look, 'each[0]', 'each[1]', scale, {go: waiting}]}
    """,
    "a rejection asks": """
        given: {params: {version: 1}, gates: {go: rejected}}
        expect: {state: asking, says: {go: rejected it}}
    """,
    "a gate that is denied after its time": """
        given: {params: {version: 1}, gates: {go: expired}, answers: {go: abandon}}
        expect: {state: abandoned, says: {go: within 4h}}
    """,
    "a failure that is retried": f"""
        given:
          params: {{version: 1}}
          results: {{prepare: [{{failed: no route}}, ok]}}
          gates: {{go: approved, shift: approved}}
          answers: {{prepare: retry, sign: done}}
        expect: {{state: succeeded, path: {ALL}}}
    """,
    "a doubt that a person clears": """
        given:
          params: {version: 1}
          results: {'each[1]': in_doubt}
          answers: {'each[1]': done}
        expect: {state: waiting, says: {'each[1]': marked done by}}
    """,
    "a check is held against its thresholds": """
        given: {params: {version: 1}, results: {look: {outputs: {elapsed_ms: 2500}}}, answers: {look: skip}}
        expect: {state: waiting, skipped: {note: '', look: skipped by}}
    """,
    "a check within its thresholds": """
        given: {params: {version: 1}, results: {look: {outputs: {elapsed_ms: 1500}}}}
        expect: {state: waiting, path: [prepare, look, 'each[0]', 'each[1]', scale, {go: waiting}]}
    """,
    "a check that could not measure": """
        given: {params: {version: 1}, results: {look: unknown}}
        expect: {state: asking, path: [prepare, {look: failed}]}
    """,
    "trouble in the night": """
        given:
          params: {version: 1}
          results: {watch: {failed: slow, after: 9h}}
          gates: {go: approved, shift: approved}
          answers: {sign: done, watch: rollback}
        expect: {state: rolled_back, says: {watch: slow}}
    """,
    "nobody signs": """
        given: {params: {version: 1}, gates: {go: approved, shift: approved}, answers: {sign: expired}}
        expect: {state: asking, says: {sign: nobody said within 1d}}
    """,
    "a way back that fails": """
        given:
          params: {version: 1}
          results: {scale: failed, 'rollback:prepare': failed}
          answers: {scale: rollback, 'rollback:prepare': skip}
        expect: {state: rolled_back, rollback: [scale, {prepare: skipped}, tell]}
    """,
    "a parameter that does not fit": """
        given: {params: {version: newest}}
        expect: {refused: version}
    """,
}


@pytest.mark.parametrize("name", GOOD)
async def test_what_is_given_leads_to_what_is_expected(name: str, rehearsed: Rehearse) -> None:
    """Gates, failures, doubts, soaks of a day, the way back: as the engine does it, in no time."""
    (judgement,) = await rehearsed(RUNBOOK, f"tests:\n  - name: {name}\n{indented(GOOD[name])}")

    assert [str(fault) for fault in judgement.faults] == []


def indented(text: str) -> str:
    return "\n".join(line[4:] for line in text.strip("\n").split("\n"))


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ("{state: succeeded}", "a.test.yaml:4:21: expected succeeded, the run is waiting (asked at `go`"),
        (
            "{path: [prepare]}",
            "expected [prepare], it was [prepare, look, each[0], each[1], scale, go: waiti",
        ),
        ("{skipped: {look: x}}", "`look` was not skipped"),
        ("{skipped: {}}", "skipped was also note"),
        ("{skipped: {note: staging only}}", "`note` was skipped, as params.where is production"),
        ("{rollback: [prepare]}", "expected [prepare], it was []"),
        ("{says: {look: nonsense}}", "`look` says:"),
        ("{refused: version}", "the run was not refused"),
    ],
)
async def test_what_is_not_as_expected_is_told_with_its_place(
    expect: str, words: str, rehearsed: Rehearse
) -> None:
    """File, line, column, what was expected and what came."""
    tests = f"tests:\n  - name: n\n    given: {{params: {{version: 1}}}}\n    expect: {expect}\n"
    (judgement,) = await rehearsed(RUNBOOK, tests)

    assert not judgement.passed
    assert any(words in str(fault) for fault in judgement.faults), judgement.faults


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("given: {results: {shfit: ok}}", "no step `shfit` (did you mean `shift`?)"),
        ("given: {gates: {goo: approved}}", "no step `goo` (did you mean `go`?)"),
        ("given: {gates: {look: approved}}", "`look` has no gate"),
        ("given: {answers: {'each[7].x': retry}}", "no step `each.x`"),
        ("given: {results: {'rollback:lok': ok}}", "no step `lok` (did you mean `look`?)"),
        ("given: {results: {prepare: {outputs: {kye: 1}}}}", "no output `kye` (did you mean `key`?)"),
        ("given: {results: {prepare: critical}}", "is never critical"),
        ("given: {results: {look: in_doubt}}", "is never in doubt"),
        ("given: {results: {look: {failed: x, at: 10}}}", "`at:` is a stage of a rollout"),
        ("given: {results: {prepare: {failed: x, after: 1h}}}", "`after:` is for soaks"),
        ("given: {results: {watch: {outputs: {rounds: 1}}}}", "come from its rounds"),
        ("given: {results: {look: broken}}", "expected 'ok'"),
        ("given: {gates: {go: aproved}}", "did you mean `approved`?"),
        ("given: {resluts: {}}", "unknown key `resluts`"),
    ],
)
async def test_a_test_that_does_not_fit_its_runbook_is_refused(
    said: str, words: str, rehearsed: Rehearse
) -> None:
    """With its place, and what was probably meant."""
    with pytest.raises(ConfigError) as refused:
        await rehearsed(RUNBOOK, f"tests:\n  - name: n\n    {said}\n    expect: {{state: succeeded}}\n")

    assert words in str(refused.value)
    assert "a.test.yaml:3:" in str(refused.value)


async def test_steps_that_are_expected_are_steps_of_the_runbook(rehearsed: Rehearse) -> None:
    """In a path, and on the way back."""
    tests = "tests: [{name: n, expect: {path: [prepare, loook], rollback: [{tel: failed}]}}]\n"
    with pytest.raises(ConfigError) as refused:
        await rehearsed(RUNBOOK, tests)

    assert "did you mean `look`?" in str(refused.value)
    assert "did you mean `tell`?" in str(refused.value)


async def test_an_answer_that_is_not_offered_is_told(rehearsed: Rehearse) -> None:
    """Skip of a step that may not be skipped, and what it asks for."""
    tests = """
        tests:
          - name: n
            given: {params: {version: 1}, results: {prepare: failed}, answers: {prepare: skip}}
            expect: {state: succeeded}
    """
    (judgement,) = await rehearsed(RUNBOOK, tests)

    assert "`prepare` cannot be answered with skip" in str(judgement.faults[0])
    assert "retry, rollback, abandon" in str(judgement.faults[0])


async def test_a_run_without_end_is_told(rehearsed: Rehearse, monkeypatch: Any) -> None:
    """A step that fails each time, and is tried again each time."""
    monkeypatch.setattr("runbooks.rehearsal.stage.MOST_TURNS", 30)
    tests = """
        tests:
          - name: n
            given: {params: {version: 1}, results: {prepare: failed}, answers: {prepare: retry}}
            expect: {state: succeeded}
    """
    (judgement,) = await rehearsed(RUNBOOK, tests)

    assert "does not come to rest" in str(judgement.faults[0])


async def test_one_test_does_not_stand_in_the_way_of_the_next(rehearsed: Rehearse) -> None:
    """Locks of a run that still waits are free for the next one."""
    one = "{name: n, given: {params: {version: 1}}, expect: {state: waiting}}"
    judgements = await rehearsed(RUNBOOK, f"tests: [{one}, {one}]\n")

    assert [judgement.passed for judgement in judgements] == [True, True]


async def test_targets_of_its_own(rehearsed: Rehearse) -> None:
    """What only the tests have, for a runbook whose parameter is a target."""
    runbook = """
        name: a
        title: A
        params: {host: {type: target, of: host}}
        locks: ['{{ params.host }}']
        steps:
          - id: act
            command: {target: '{{ params.host }}', run: [act]}
    """
    tests = """
        targets: {spare: {type: host}}
        tests:
          - name: n
            given: {params: {host: spare}}
            expect: {state: succeeded, path: [act]}
    """
    (judgement,) = await rehearsed(runbook, tests)

    assert judgement.faults == ()


def test_a_file_of_tests_is_no_runbook(tmp_path: Path) -> None:
    """It stands in the same folder, and only the runbook is loaded."""
    (tmp_path / "a.yaml").write_text("name: a\ntitle: A\nsteps: [{id: a, wait: {for: 1m}}]\n")
    (tmp_path / "a.test.yaml").write_text("tests: [{name: n, expect: {state: succeeded}}]\n")

    assert list(load_library(None, {}, shipped=tmp_path)) == ["a"]


async def test_the_tests_of_what_ships_pass() -> None:
    """Every runbook that ships with tests beside it does what they say."""
    shipped = load_library(None, {}, shipped=SHIPPED)
    files = [(each, load(each, path)) for each in shipped.values() if (path := file_beside(each.path))]
    judgements = await rehearse(files, World(targets={}, channels={}))

    assert [(each.name, each.faults) for each in judgements if not each.passed] == []
