"""30: what is installed is what was locked, by its hash. Checked here are the files that say so; that uv
and pip refuse another file is theirs to keep. Also kept by tests/test_supply_chain.py and
tests/test_image.py."""

import tomllib

import pytest

from tests.security.files import install_faults, read

HOSTILE = (
    "requests==2.32.0",
    "requests>=2 \\\n    --hash=sha256:0\nurllib3==2.0",
    "--extra-index-url https://evil.example/simple",
    "--index-url=http://evil.example/simple",
    "--trusted-host evil.example",
    "requests @ https://evil.example/requests.whl --hash=sha256:0",
    "git+https://evil.example/requests#egg=requests",
    "RUN pip install uv",
    "RUN pip install --require-hashes --no-binary :all: -r x.txt",
    "[[tool.uv.index]]\nurl = 'https://evil.example'",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_way_for_another_package_would_be_seen(text: str) -> None:
    """The look below finds what it looks for."""
    assert install_faults(text)


@pytest.mark.parametrize("name", ["deploy/build.txt", "Dockerfile"])
def test_there_is_none_where_maint_is_built(name: str) -> None:
    """Every requirement has its hash, and comes from PyPI."""
    assert install_faults(read(name)) == []


def test_there_is_no_second_index() -> None:
    """A package of ours cannot be shadowed by one of the same name elsewhere."""
    uv = tomllib.loads(read("pyproject.toml")).get("tool", {}).get("uv", {})

    assert not {"index", "extra-index-url", "index-url", "find-links", "sources"} & uv.keys()
    assert {package["source"].get("registry") for package in tomllib.loads(read("uv.lock"))["package"]} <= {
        "https://pypi.org/simple", None,
    }  # fmt: skip
