"""A namespace for each test: of the API of the tests, or of a real one."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from runbooks.steps import kubernetes_changes, kubernetes_route
from runbooks.steps.action import Call
from runbooks.steps.reach import Connections
from tests.steps.kubernetes.clusters import REAL, Cluster, FakeCluster, call_of, fake_cluster, real_cluster
from tests.steps.kubernetes.programs import control_plane, missing


@pytest.fixture(scope="session")
def control() -> Iterator[tuple[str, str] | None]:
    """The address and the authority of a real control plane, when the tests are to run on one."""
    if not REAL:
        yield None
        return
    if absent := missing():
        pytest.fail(f"MAINT_TEST_KUBERNETES is set, but these are not on the PATH: {', '.join(absent)}")
    # Not under pytest's own folder, which other sessions clear.
    with tempfile.TemporaryDirectory(prefix="kubernetes") as folder, control_plane(Path(folder)) as found:
        yield found


@pytest.fixture
async def cluster(control: tuple[str, str] | None) -> AsyncIterator[Cluster]:
    """A namespace in which Maint has the Role of docs/steps/kubernetes.md."""
    async with real_cluster(*control) if control else fake_cluster() as cluster:
        yield cluster


@pytest.fixture
async def fake() -> AsyncIterator[FakeCluster]:
    """The API of the tests, where the test can step in between."""
    async with fake_cluster() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (kubernetes_changes, kubernetes_route):
        monkeypatch.setattr(module, "LOOK_EVERY", 0.05)


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    async with Connections() as connections:
        yield connections


@pytest.fixture
def call(connections: Connections, cluster: Cluster) -> Call:
    return call_of(connections, cluster.target)
