"""Finds what is wrong in the files that build, ship and test Maint: for the checks 28 to 33."""

import ast
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.test_image import instructions

ROOT = Path(__file__).parents[2]
#: How pip and uv say that they take what was locked, or nothing from outside.
LOCKED = r"--require-hashes|--offline --no-deps"
#: What no source file ends with: nobody can read it.
BINARY = {".so", ".dll", ".exe", ".pyc", ".whl", ".jar", ".zip", ".gz", ".db", ".pem", ".key", ".p12", ".bin"}


def tracked() -> list[str]:
    """The files that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    return [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def read(name: str) -> str:
    """The text of one of them."""
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def program_faults() -> Mapping[str, frozenset[str]]:
    """Of each file of the program what `code_faults` finds."""
    sources = [name for name in tracked() if name.startswith(("bot/", "commands/", "runbooks/"))]
    return {name: frozenset(code_faults(read(name))) for name in sources if name.endswith(".py")}


def image_faults(dockerfile: str) -> list[str]:
    """What a Dockerfile does that it must not (CIS Docker 4.1, 4.3, 4.6, 4.9, 4.10)."""
    found = instructions(dockerfile)
    last = max(number for number, (word, _) in enumerate(found) if word == "FROM")
    final, faults = found[last:], []
    users = [rest for word, rest in final if word == "USER"]
    if not users or re.match(r"(root|0)\b", users[-1]):
        faults.append("it runs as root")
    checks = [rest for word, rest in final if word == "HEALTHCHECK"]
    if not checks or checks[-1] == "NONE":
        faults.append("nobody sees that it hangs")
    for word, rest in found:
        if word == "ADD":
            faults.append("ADD fetches and unpacks")
        if word in ("ARG", "ENV") and re.search(r"(?i)(token|secret|password|api_?key)\w*=", rest):
            faults.append("a secret stays in its history")
        if word == "FROM" and re.search(r":latest\b|^[^:$]+$", rest.split()[0]):
            faults.append("its base is whatever is newest")
        if word == "RUN" and re.search(r"\b(curl|wget|git|sudo|chmod\s+(777|[+]s))\b", rest):
            faults.append("it fetches, or gives rights away")
        if word == "COPY" and {".", "./", ".git"} & set(rest.split()[:-1]):
            faults.append("it copies everything")
    return faults


def install_faults(text: str) -> list[str]:
    """What lets another package in than the one that was locked."""
    joined = re.sub(r"\\\n\s*", " ", text)
    faults = []
    for line in joined.splitlines():
        said = line.split("#")[0]
        if re.search(
            r"--(extra-)?index-url|--find-links|--trusted-host|\bindex-strategy|\[\[tool\.uv\.index", said
        ):
            faults.append("packages may come from elsewhere")
        if re.search(r"\b(git|hg|svn)\+|@\s*https?://", said):
            faults.append("a package is no release")
        if re.match(r"[A-Za-z0-9_.-]+\s*[=<>~!]=?", said) and "--hash=" not in said:
            faults.append("a requirement has no hash")
        if re.search(r"\bpip3? install\b", said) and not re.search(LOCKED, said):
            faults.append("pip takes what it gets")
        if "--no-binary" in said:
            faults.append("packages are built, and run as they are")
    return faults


def workflow_faults(text: str) -> list[str]:
    """What a workflow lets others do."""
    workflow: dict[str, Any] = yaml.safe_load(text)
    faults = []
    # YAML 1.1 reads the key `on` as true.
    if "pull_request_target" in (workflow.get("on") or workflow.get(True) or {}):  # type: ignore[call-overload]
        faults.append("a stranger's pull request has our rights")
    if workflow.get("permissions") != {}:
        faults.append("its token may do more than it needs")
    for job in workflow["jobs"].values():
        if job.get("permissions") != {"contents": "read"}:
            faults.append("its token may do more than it needs")
        if job.get("continue-on-error"):
            faults.append("a failure is none")
        for step in job["steps"]:
            run = str(step.get("run", ""))
            if re.search(r"\$\{\{\s*github\.(event|head_ref)", run):
                faults.append("a title is run as a command")
            if re.search(r"\|\|\s*(true|:)", run) and re.search(r"audit|lint|test", run):
                faults.append("a failure is none")
            faults += ["an exception has no date" for _ in _undated(run)]
            if step.get("continue-on-error"):
                faults.append("a failure is none")
    return faults


def _undated(run: str) -> Iterator[str]:
    for line in run.splitlines():
        if "--ignore-vuln" in line and not re.search(r"#.*\d{4}-\d{2}-\d{2}", line):
            yield line


def code_faults(source: str) -> list[str]:
    """Where a program does not ask who answers, or does what it is told in a text."""
    faults = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.keyword(
                arg="verify" | "ssl" | "verify_ssl" | "check_hostname", value=ast.Constant(value=False)
            ):
                faults.append("TLS is not verified")
            case ast.keyword(arg="known_hosts", value=ast.Constant(value=None)):
                faults.append("any host is the right one")
            case ast.Attribute(attr="CERT_NONE" | "_create_unverified_context" | "AutoAddPolicy"):
                faults.append("TLS is not verified")
            case ast.keyword(arg="shell", value=ast.Constant(value=True)):
                faults.append("a shell reads it")
            case ast.Call(func=ast.Attribute(attr="create_subprocess_shell" | "system" | "popen")):
                faults.append("a shell reads it")
            case ast.Call(func=ast.Name(id="eval" | "exec" | "compile")):
                faults.append("a text is run")
            case ast.Attribute(value=ast.Name(id="pickle" | "marshal" | "shelve")):
                faults.append("a text is run")
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="yaml"), attr="load" | "unsafe_load" | "full_load")
            ):
                faults.append("a text is run")
    return faults
