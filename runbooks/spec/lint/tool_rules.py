"""Traps of the tools that maintenance pages are full of: kubectl, docker, npm, gh, logrotate, grep, awk."""

import re
from collections.abc import Iterator

from runbooks.spec.lint.command_rules import each, text
from runbooks.spec.lint.finding import Found, Level, Rule, StepAt
from runbooks.spec.lint.shell import Simple

_ERRORS = re.compile(r"\b(ERROR|WARN|FATAL|40\d|50\d)")
_SECRETS = re.compile(r"password|passwd|secret|api.?key", re.IGNORECASE)
_WEIGHT = re.compile(r"traffic|weight|percent|canary|rollout", re.IGNORECASE)


def _undoes_to_last(command: Simple) -> bool:
    if not command.does("kubectl", "rollout", "undo"):
        return False
    to = next((word for word in command.arguments if word.startswith("--to-revision")), "")
    return to in ("", "--to-revision=0") or (to == "--to-revision" and "0" in command.arguments)


def _env_as_traffic(at: StepAt) -> Iterator[Found]:
    for line in at.lines:
        for command in line.commands:
            named = [word for word in command.arguments if "=" in word and _WEIGHT.search(word)]
            if command.does("kubectl", "set", "env") and named:
                yield line.mark, f"`{named[0]}`"
    env = at.step.fields.get("env")
    for name in env if at.step.kind == "kubernetes.set_env" and isinstance(env, dict) else ():
        if _WEIGHT.search(name):
            yield at.mark("env", name), f"`{name}`"


def _updates_to_version(command: Simple) -> bool:
    updates = command.does("npm", "update") or command.does("npm", "up")
    return updates and any("@" in word[1:] for word in command.arguments)


def _reserved_secret(command: Simple) -> bool:
    return command.does("gh", "secret", "set") and any(
        word.upper().startswith("GITHUB_") for word in command.arguments
    )


def _counts_whole_log(command: Simple) -> bool:
    if command.program not in ("grep", "egrep", "zgrep", "rg"):
        return False
    logs = [word for word in command.arguments if re.search(r"\.log\b|/log/", word)]
    return bool(logs) and any(map(_ERRORS.search, command.arguments))


def _greps_secrets(command: Simple) -> bool:
    looks = command.program in ("grep", "egrep", "rg") and command.has("-r", "-R", "-E", "--recursive")
    return looks and any(map(_SECRETS.search, command.arguments))


TOOL_RULES = (
    Rule(
        id="rollout-undo",
        level=Level.ERROR,
        happens="it goes back one revision: after several stages that is the stage before, not the start",
        instead="`kubernetes.undo` with a recorded revision, or a `rollout`; at least `--to-revision=N`",
        look=each(_undoes_to_last),
    ),
    Rule(
        id="env-as-traffic",
        level=Level.WARNING,
        happens="it changes the pods' template: every stage restarts all pods, and a variable is no traffic",
        instead="a `rollout` with `traffic:` of an HTTP call, an HTTPRoute or a canary",
        look=_env_as_traffic,
    ),
    Rule(
        id="docker-scan",
        level=Level.ERROR,
        happens="docker has no such command any more",
        instead="trivy, grype or `docker scout cves`",
        look=each(lambda command: command.does("docker", "scan")),
    ),
    Rule(
        id="npm-update-version",
        level=Level.ERROR,
        happens="npm refuses a version there (EUPDATEARGS)",
        instead="`npm install PACKAGE@RANGE` on a branch",
        look=each(_updates_to_version),
    ),
    Rule(
        id="gh-secret-body",
        level=Level.ERROR,
        happens="the secret is in the arguments, which every process can read, and in the shell's history",
        instead="`gh secret set NAME` with the secret on `stdin:`",
        look=each(lambda command: command.does("gh", "secret", "set") and command.has("--body", "-b")),
    ),
    Rule(
        id="gh-secret-name",
        level=Level.ERROR,
        happens="GitHub refuses names that begin with GITHUB_",
        instead="another name; better a GitHub App's tokens or OIDC",
        look=each(_reserved_secret),
    ),
    Rule(
        id="gh-auth-refresh",
        level=Level.ERROR,
        happens="it asks questions at a terminal, and changes what the person's own token may do",
        instead="a GitHub App's token; no person's token in a bot",
        look=each(lambda command: command.does("gh", "auth", "refresh")),
    ),
    Rule(
        id="logrotate-force",
        level=Level.ERROR,
        happens="every run rotates, however young the log: five runs with `rotate 3` leave three short files",
        instead="no `-f`: logrotate decides; its state file says when it did",
        look=each(lambda command: command.program == "logrotate" and command.has("-f", "--force")),
    ),
    Rule(
        id="grep-log",
        level=Level.WARNING,
        happens="it looks at the whole file, not at the last hour, and 401 is found in sizes and ids as well",
        instead="a `logs.errors` step, or `prometheus.query`",
        look=each(_counts_whole_log),
    ),
    Rule(
        id="awk-nginx-variable",
        level=Level.ERROR,
        happens="nginx's variables are nothing to awk: `$name` is the whole line",
        instead="a `logs.errors` step with the log's format, or the field's number",
        look=text(r"\bawk\b.*'[^']*\$(?!NF\b|NR\b)[a-z_]{2,}"),
    ),
    Rule(
        id="awk-percentile",
        level=Level.ERROR,
        happens="in that place NR is the line's own number, so it never holds",
        instead="sort into an array and take it in END; or histogram_quantile in Prometheus",
        look=text(r"\bNR\s*==\s*int\s*\(\s*NR\b"),
    ),
    Rule(
        id="grep-secrets",
        level=Level.WARNING,
        happens="it finds `keyboard` and misses real secrets",
        instead="gitleaks or trufflehog, on the difference and on the history",
        look=each(_greps_secrets),
    ),
    Rule(
        id="alerts-endpoint",
        level=Level.ERROR,
        happens="that endpoint has no such parameters, and `.data` has one key, so its length is always 1",
        instead="a `prometheus.alerts` step; for the past a `prometheus.query` on ALERTS",
        look=text(r"/api/v1/alerts\?\S+|/api/v1/alerts\b.*\.data \| length"),
    ),
    Rule(
        id="vercel-env-pull",
        level=Level.ERROR,
        happens="it writes every secret to a file, and proves only that there is an address",
        instead="ask the provider's API for the newest backup, and restore it somewhere",
        look=each(lambda command: command.does("vercel", "env", "pull")),
    ),
)
