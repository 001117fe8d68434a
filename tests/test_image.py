"""The Dockerfile keeps its promises, as far as its text shows; CI also builds and runs it."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: Names of what must not be in an image, nor in the history of one.
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY", re.IGNORECASE)


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, without comments, each with what follows it in one line."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    whole = re.sub(r"\\\n\s*", " ", lines).splitlines()
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in whole) if word]


DOCKERFILE = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))
STAGES = [number for number, (word, _) in enumerate(DOCKERFILE) if word == "FROM"]
FINAL = DOCKERFILE[STAGES[-1] :]
IGNORED = [
    line
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
#: The command of the health check, as a list of arguments.
HEALTHCHECK: list[str] = json.loads(dict(FINAL)["HEALTHCHECK"].partition("CMD")[2])


def copied() -> set[str]:
    """What is copied from the checkout, in any stage."""
    sources = set()
    for word, rest in DOCKERFILE:
        if word == "COPY" and not rest.startswith("--from="):
            sources.update(rest.split()[:-1])
    return sources


def test_both_stages_are_of_the_same_image() -> None:
    """A virtual environment works only with the Python that made it; the image is an argument, with a tag."""
    assert [DOCKERFILE[number][1].split()[0] for number in STAGES] == ["${PYTHON_IMAGE}"] * 2
    (image,) = [
        rest.removeprefix("PYTHON_IMAGE=") for _, rest in DOCKERFILE if rest.startswith("PYTHON_IMAGE=")
    ]
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", image)


def test_it_does_not_run_as_root() -> None:
    """The user is a number, so that Kubernetes can tell, and nothing is done after it was set as root."""
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", dict(FINAL)["USER"])
    words = [word for word, _ in FINAL]
    assert not {"RUN", "COPY"} & set(words[words.index("USER") :])


def test_nothing_is_fetched_but_packages() -> None:
    """ADD unpacks archives and fetches addresses; COPY does neither."""
    assert "ADD" not in [word for word, _ in DOCKERFILE]
    assert not [
        rest for word, rest in DOCKERFILE if word == "RUN" and re.search(r"\b(curl|wget|git)\b", rest)
    ]


def test_only_the_virtual_environment_leaves_the_build() -> None:
    """The tools and the sources stay behind."""
    assert [rest for word, rest in FINAL if word == "COPY"] == ["--from=build /opt/maint /opt/maint"]


def test_what_is_copied_is_there_and_nothing_else_reaches_the_build() -> None:
    """.dockerignore leaves everything out, .git and secrets among it, but what the Dockerfile copies."""
    assert IGNORED[0] == "*"
    allowed = {line.removeprefix("!") for line in IGNORED if line.startswith("!")}
    assert allowed == copied()
    assert [source for source in sorted(copied()) if not (ROOT / source).exists()] == []


def test_no_secret_has_a_place_in_it() -> None:
    """Arguments and variables of a build stay in its history."""
    names = [rest for word, rest in DOCKERFILE if word in ("ARG", "ENV", "LABEL")]
    assert [rest for rest in names if SECRET.search(rest)] == []


def test_the_health_check_needs_no_program_but_python() -> None:
    """It is a list of arguments, without a shell, and has a time limit."""
    assert HEALTHCHECK == ["python3", "-I", "-m", "bot.alive"]
    assert "--timeout=" in dict(FINAL)["HEALTHCHECK"]


def test_it_starts_without_a_shell() -> None:
    """A shell as pid 1 would not hand SIGTERM on."""
    final = dict(FINAL)
    assert json.loads(final["ENTRYPOINT"]) == ["maint"]
    assert json.loads(final["CMD"]) == ["serve"]
    assert final["STOPSIGNAL"] == "SIGTERM"


def test_packages_are_wheels_with_hashes() -> None:
    """pip demands the hashes of build.txt, uv those of uv.lock, and nothing is built but Maint."""
    runs = " ".join(rest for word, rest in DOCKERFILE if word == "RUN")
    assert re.search(r"pip install [^&]*--require-hashes --only-binary :all: --requirement", runs)
    assert re.search(r"uv sync --locked [^&]*--no-build\b", runs)
    assert re.search(r"uv pip install [^&]*--offline --no-deps", runs)
    assert "index" not in runs


def test_programs_of_debian_are_asked_for() -> None:
    """Without the argument there are none but those of the image that it is built on."""
    assert ("ARG", 'DEBIAN_PACKAGES=""') in FINAL
    (install,) = [rest for word, rest in FINAL if word == "RUN" and "apt-get" in rest]
    assert install.startswith('if [ -n "$DEBIAN_PACKAGES" ]; then')
    assert install.endswith("fi")


@pytest.mark.parametrize("tool", ["uv", "hatchling"])
def test_the_tools_of_the_build_are_pinned(tool: str) -> None:
    """Each has one version; every requirement has hashes, or pip would refuse them all."""
    text = (ROOT / "deploy" / "build.txt").read_text(encoding="utf-8")
    requirements = re.sub(r"\\\n\s*", "", re.sub(r"#.*", "", text)).split("\n")
    pinned = [line for line in requirements if line.strip()]

    assert [
        line for line in pinned if not re.match(r"[\w-]+==[\w.]+ .*--hash=sha256:[0-9a-f]{64}", line)
    ] == []
    assert len([line for line in pinned if line.startswith(f"{tool}==")]) == 1
