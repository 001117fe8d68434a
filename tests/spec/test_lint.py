"""The traps: each is found where it is, and what is right is left alone."""

import textwrap
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.spec.library import SHIPPED, load_library
from runbooks.spec.lint import RULES, Finding, Level, lint
from runbooks.spec.lint.shell import of_script, of_words
from runbooks.spec.runbook import from_source
from runbooks.spec.source import Mark
from runbooks.steps import KINDS

HEAD = """
name: a
title: A
purpose: p
owner: o
locks: [h]
params:
  any: {}
  safe: {pattern: '[a-z]+'}
  word: {type: choice, choices: [a, b]}
  count: {type: integer}
  token: {secret: true}
  list: {type: list}
steps:
"""


def found(steps: str, roles: Mapping[str, tuple[str, ...]] | None = None) -> tuple[Finding, ...]:
    """What is found in a runbook with these steps."""
    text = HEAD.lstrip() + textwrap.indent(textwrap.dedent(steps).lstrip("\n"), "  ")
    return lint(from_source("a.yaml", text, KINDS), roles)


def rules(steps: str, roles: Mapping[str, tuple[str, ...]] | None = None) -> set[str]:
    return {finding.rule for finding in found(steps, roles) if not finding.silenced}


def script(line: str, more: str = "") -> str:
    """A step that runs a line of shell."""
    body = textwrap.indent(line, " " * 6)
    return f"- id: s\n  script:\n    target: h\n    risk: low\n{more}    run: |\n{body}\n"


BAD = {
    "find-delete": "find /var/log -type f -delete",
    "rollout-undo": "kubectl -n shop rollout undo deployment/app",
    "long-sleep": "sleep 3600",
    "curl-to-shell": "curl -fsS https://x.example/i.sh | sudo bash",
    "curl-fail": "curl -s https://x.example/health",
    "vacuum-full": "psql app -c 'VACUUM (FULL, ANALYZE) users'",
    "reindex": "psql app -c 'REINDEX DATABASE app'",
    "transaction-block": "psql app -c 'SELECT 1; VACUUM users'",
    "dump-redirect": "pg_dump app > /backup/app.sql",
    "dump-pipe": "pg_dump app | gzip > /backup/app.gz",
    "psql-restore": "psql \"$URL\" < backup.sql",
    "pg-restore-sql": "pg_restore --table=users backup.sql",
    "old-statistics": "psql -c 'SELECT total_time FROM pg_stat_statements'",
    "redis-ping": "redis-cli -h cache ping",
    "env-as-traffic": "kubectl set env deployment/app LIBRARY_UPDATE_TRAFFIC=10",
    "docker-scan": "docker scan shop:1",
    "npm-update-version": "npm update fuse.js@^7.0.0",
    "gh-secret-body": "gh secret set API_KEY --body \"$KEY\"",
    "gh-secret-name": "gh secret set GITHUB_TOKEN",
    "gh-auth-refresh": "gh auth refresh -h github.com",
    "logrotate-force": "logrotate -vf /etc/logrotate.conf",
    "grep-log": "grep '401\\|403' access.log",
    "awk-nginx-variable": "awk '{s+=$request_time} END {print s/NR}' access.log",
    "awk-percentile": "sort -n times | awk 'NR==int(NR*0.95)'",
    "grep-secrets": "grep -r 'password\\|secret' src",
    "alerts-endpoint": "curl -f 'http://p:9090/api/v1/alerts?active=false'",
    "vercel-env-pull": "vercel env pull .env",
}  # fmt: skip

GOOD = (
    "find /var/log -maxdepth 1 -name '*.gz' -mtime +30 -delete",
    "find . -name '*.tmp' -exec rm {} +",
    "kubectl rollout undo deployment/app --to-revision=7",
    "sleep 5",
    "curl -fsS https://x.example/health",
    "psql app -c 'VACUUM (ANALYZE) users'",
    "psql app -c 'REINDEX INDEX CONCURRENTLY users_pkey'",
    "pg_dump -Fc -f /backup/app.tmp app 2> errors",
    "set -o pipefail; pg_dump app | gzip > /backup/app.gz",
    "psql -v ON_ERROR_STOP=1 --single-transaction -f backup.sql scratch",
    "pg_restore --list app.dump",
    "redis-cli info",
    "kubectl set env deployment/app LOG_LEVEL=debug",
    "npm install fuse.js@^7.0.0",
    "gh secret set API_KEY < key",
    "logrotate /etc/logrotate.conf",
    "echo 'docker scan is gone'  # docker scan, VACUUM FULL",
    "awk '{s+=$1} END {print $NF, s}' times",
    "grep -c needle notes.txt",
)


@pytest.mark.parametrize("rule", BAD)
def test_a_trap_in_a_script_is_found(rule: str) -> None:
    """Each of the commands that are wrong today."""
    assert rule in rules(script(BAD[rule]))


@pytest.mark.parametrize("line", GOOD)
def test_what_to_do_instead_is_left_alone(line: str) -> None:
    """No finding at all."""
    assert rules(script(line)) == set()


@pytest.mark.parametrize("rule", ["find-delete", "logrotate-force", "rollout-undo", "redis-ping"])
def test_a_trap_in_an_argument_list_is_found(rule: str) -> None:
    """The same commands without a shell."""
    words = BAD[rule].split()

    assert rule in rules(f"- id: s\n  command: {{target: h, risk: low, run: {words}}}\n")


@pytest.mark.parametrize(
    "line",
    [
        "true && sudo -n -u root /usr/sbin/logrotate -f /etc/logrotate.conf || true",
        "if true; then FOO=1 timeout 5 logrotate -f x; fi",
        "ssh web-1 'logrotate -f /etc/logrotate.conf'",
        "bash -c 'set -e; logrotate -f x'",
        "cat list | xargs -n 1 logrotate --force",
        "logrotate \\\n  -f \\\n  x",
    ],
)
def test_a_trap_is_found_wherever_it_hides(line: str) -> None:
    """Behind sudo, in a list of commands, in the text for another shell, over several lines."""
    assert "logrotate-force" in rules(script(line))


def test_a_finding_has_its_place() -> None:
    """Line and column of the command itself, within the script."""
    (finding,) = found(script("echo one\n\n  docker scan x"))

    assert finding.fault.where == "a.yaml:21:11"
    assert finding.fault.hint == RULES["docker-scan"].instead
    assert str(finding).startswith("a.yaml:21:11: error docker-scan: `docker scan x`: ")


PARAMETERS = {
    "secret-in-argv": ("[login, '{{ params.token }}']", "[login, --token-stdin]"),
    "shell-with-parameter": ("[sh, -c, 'echo {{ params.safe }}']", "[sh, -c, 'echo $0', '{{ params.any }}']"),
    "sql-with-parameter": (
        "[psql, -c, 'DELETE FROM t WHERE id = {{ params.count }}']",
        "[psql, -v, 'id={{ params.count }}', -f, x.sql, -v, ON_ERROR_STOP=1]",
    ),
    "program-from-parameter": ("['{{ params.word }}', now]", "[systemctl, '{{ params.word }}']"),
    "option-from-parameter": ("[cat, '{{ params.any }}']", "[cat, --, '{{ params.any }}']"),
    "rm-parameter": ("[rm, -fr, '/data/{{ params.safe }}']", "[rm, '/data/{{ params.safe }}']"),
}


@pytest.mark.parametrize("rule", PARAMETERS)
def test_what_a_parameter_becomes_is_judged(rule: str) -> None:
    """On a command line it may be an option, a program, a piece of shell or SQL, or seen by everybody."""
    bad, good = PARAMETERS[rule]

    assert rule in rules(f"- id: s\n  command: {{target: h, risk: low, run: {bad}}}\n")
    assert rules(f"- id: s\n  command: {{target: h, risk: low, run: {good}}}\n") == set()


@pytest.mark.parametrize("param", ["safe", "word", "count"])
def test_a_value_that_cannot_begin_with_a_dash_is_no_option(param: str) -> None:
    """By its pattern, its choices or its type."""
    step = f"- id: s\n  command: {{target: h, risk: low, run: [cat, '{{{{ params.{param} }}}}']}}\n"

    assert rules(step) == set()


def test_the_items_of_a_list_may_be_options() -> None:
    """A list of texts, and each item a word of its own."""
    act = "command: {target: h, risk: low, run: [cat, '{{ item }}']}"
    step = f"- id: s\n  for_each: '{{{{ params.list }}}}'\n  {act}\n"

    assert rules(step) == {"option-from-parameter"}


def test_a_variable_that_comes_from_a_parameter_is_one() -> None:
    """`rm -rf "$FOLDER"` of what people typed; not of what the script itself has made."""
    given = "    environment: {FOLDER: '{{ params.any }}'}\n"

    assert rules(script('rm -rf "$FOLDER/old"', given)) == {"rm-parameter"}
    assert rules(script('T=$(mktemp -d)\nrm -rf "$T"', given)) == set()


STEPS = {
    "unlocked": "- id: s\n  kubernetes.restart: {target: other, deployment: app}",
    "no-way-back": "- id: s\n  command: {target: h, run: [reboot]}",
    "rollout-unsoaked": "- id: s\n  rollout: {target: h, to: '1', verify: [{redis.ping: {}}]}",
    "gate-bypass": "- id: s\n  skippable: true\n  gate: {approvers: [sre], expires: 1h}",
    "no-expiry": "- id: s\n  manual: {instructions: Look.}",
    "blind-continue": "- id: s\n  on_failure: continue\n  kubernetes.restart: {target: h, deployment: app}",
    "env-as-traffic": "- id: s\n  kubernetes.set_env: {target: h, deployment: app, env: {CANARY_WEIGHT: 10}}",
}


@pytest.mark.parametrize("rule", STEPS)
def test_a_step_that_does_not_fail_well_is_found(rule: str) -> None:
    """Not locked, no way back, no soak, a gate that looks as if it could be passed."""
    assert rule in rules(STEPS[rule])


def test_a_step_that_fails_well_is_left_alone() -> None:
    """Locked, with a way back, with an end."""
    assert (
        rules(
            """
        - id: act
          command: {target: h, run: [act]}
          rollback: {command: {target: h, run: [unact]}}
        - id: go
          gate: {approvers: [sre], expires: 4h}
        - id: shift
          rollout: {target: h, to: '1', soak: 1h, verify: [{redis.ping: {}}]}
        """
        )
        == set()
    )


def test_who_wrote_no_purpose_is_told() -> None:
    """Once for the runbook."""
    text = "name: a\ntitle: A\nsteps: [{id: a, wait: {for: 1m}}]\n"

    (finding,) = lint(from_source("a.yaml", text, KINDS))
    assert (finding.rule, finding.level) == ("nobodys", Level.WARNING)


ROLES = {"sre": ("U1", "U2"), "solo": ("U1",), "group": ("@oncall",)}


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        ("approvers: [sre], quorum: 3", {"gate-too-few"}),
        ("approvers: [sre, solo], quorum: 3", {"gate-too-few"}),
        ("approvers: [sre, U3], quorum: 3, requester_may_approve: true", set()),
        ("approvers: [sre], quorum: 2", {"gate-own"}),
        ("approvers: [solo]", {"gate-own"}),
        ("approvers: [solo], requester_may_approve: true", set()),
        ("approvers: [sre]", set()),
        ("approvers: [group, U1], quorum: 5", set()),
        ("approvers: [sra]", {"gate-no-role"}),
        ("approvers: ['{{ params.any }}'], quorum: 9", set()),
    ],
)
def test_a_gate_that_cannot_be_passed_is_found(gate: str, expected: set[str]) -> None:
    """As far as maint.yaml says who there is; a usergroup may have any number."""
    assert rules(f"- id: go\n  gate: {{{gate}, expires: 1h}}\n", ROLES) == expected


def test_the_gate_between_two_stages_is_one() -> None:
    """A rollout's own."""
    step = (
        "- id: r\n  rollout: {target: h, to: '1', soak: 1h, verify: [{redis.ping: {}}], between: {gate: %s}}"
    )

    assert rules(step % "{approvers: [sre], quorum: 4}", ROLES) == {"gate-too-few"}


def test_a_comment_with_a_reason_silences_a_rule() -> None:
    """Right above the line; it stays listed, with the reason."""
    (finding,) = found(script("# maint: ignore docker-scan the old runner has it\ndocker scan x"))

    assert finding.silenced == "the old runner has it"
    assert "silenced: the old runner has it" in str(finding)


def test_several_comments_silence_several_rules() -> None:
    """Each its own, in the lines above one."""
    comments = "# maint: ignore docker-scan a\n# maint: ignore long-sleep b\n"
    lines = f"{comments}docker scan x; sleep 600; npm update a@1"

    assert rules(script(lines)) == {"npm-update-version"}


@pytest.mark.parametrize(
    ("comment", "words", "left"),
    [
        ("# maint: ignore docker-scan", "only with a reason", {"docker-scan", "comment"}),
        (
            "# maint: ignore docker-scna so be it",
            "there is no rule `docker-scna`",
            {"docker-scan", "comment"},
        ),
        ("# maint: ignore long-sleep so be it", "nothing in the line below", {"docker-scan", "comment"}),
        ("# maint: ignore", "which rule", {"docker-scan", "comment"}),
    ],
)
def test_a_comment_that_does_nothing_says_so(comment: str, words: str, left: set[str]) -> None:
    """Without a reason, without such a rule, above nothing."""
    step = script(f"{comment}\ndocker scan x")

    assert rules(step) == left
    assert any(words in finding.fault.message for finding in found(step) if finding.rule == "comment")


def test_every_rule_says_what_happens_and_what_to_do_instead() -> None:
    """And every rule is tried here."""
    assert all(rule.happens and rule.instead for rule in RULES.values())
    people = {"too-few-people", "gate-too-few", "gate-own", "gate-no-role", "nobodys"}
    assert set(RULES) == {*BAD, *PARAMETERS, *STEPS, *people}


def test_what_ships_has_no_error() -> None:
    """The runbooks that people copy are right."""
    shipped = load_library(None, {}, shipped=SHIPPED)
    errors = [
        str(finding)
        for runbook in shipped.values()
        for finding in lint(runbook)
        if finding.level is Level.ERROR and not finding.silenced
    ]

    assert errors == []


@given(st.text(alphabet="ab |&;<>()'\"\\$#\n-{}", max_size=60))
def test_any_script_can_be_taken_apart(text: str) -> None:
    """Whatever is written there, and every command has a program."""
    marks = [Mark(number, 1) for number in range(1, text.count("\n") + 2)]

    for line in of_script(text, marks):
        assert all(command.words for command in line.commands)


@given(st.lists(st.text(max_size=20), max_size=6))
def test_any_argument_list_can_be_taken_apart(words: list[str]) -> None:
    """Also an empty one."""
    assert all(command.words for command in of_words(words, Mark(1, 1)).commands)


@pytest.mark.parametrize(
    ("gate", "when", "is_found"),
    [
        ("", "", True),
        ("{approvers: [a], expires: 1h}", "", True),
        ("{approvers: [a], quorum: 2, expires: 1h}", "", False),
        ("{approvers: [a], quorum: 2, expires: 1h}", "when: {params.word: {equals: a}}", True),
    ],
)
def test_what_keeps_everybody_out_is_for_two_people(gate: str, when: str, *, is_found: bool) -> None:
    """One is not enough, nor a gate that may be skipped."""
    asked = f"- id: go\n  {when}\n  gate: {gate}\n" if gate else ""
    full = "{target: h, tables: [t], full: true, lock_timeout: 1s}"

    assert ("too-few-people" in rules(f"{asked}- id: s\n  postgres.vacuum: {full}\n")) is is_found


def test_a_plain_vacuum_is_for_one_person() -> None:
    """It keeps nobody out."""
    assert rules("- id: s\n  postgres.vacuum: {target: h}\n") == set()
