"""Reaching a namespace: who is let in, what is refused, and who else changes things meanwhile."""

import base64
import json
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps.action import Call
from runbooks.steps.kubernetes import KubernetesRolloutStatus, KubernetesScale, KubernetesSetEnv
from runbooks.steps.kubernetes_changes import open_target
from runbooks.steps.reach import Connections
from runbooks.targets import KubernetesTarget
from tests.steps.kubernetes.api import BOT, Refusal, serving
from tests.steps.kubernetes.clusters import Cluster, FakeCluster, call_of
from tests.steps.kubernetes.programs import kubeconfig


@pytest.fixture
def call(connections: Connections) -> Call:
    """A call of the API of the tests."""
    return call_of(connections)


def target_of(**fields: Any) -> KubernetesTarget:
    return KubernetesTarget.model_validate(
        {"name": "k8s", "type": "kubernetes", "namespace": "shop", **fields}
    )


async def image(target: KubernetesTarget) -> str:
    """What runs there, over a connection of its own."""
    async with Connections() as connections:
        namespace = await open_target(target, connections)
        found = await namespace.get("Deployment", "app")
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


SCALE = KubernetesScale(target="k8s", deployment="app", replicas=1)


async def test_what_the_role_does_not_allow_is_said(fake: FakeCluster, call: Call) -> None:
    """With the server's own words, which name the verb and the resource."""
    await fake.deploy()
    fake.store.role["deployments/scale"] = {"get"}

    with pytest.raises(
        StepError, match=r'needs get, list, watch and patch.*cannot patch resource "deployments/scale"'
    ):
        await SCALE.act(fake.target, call)


async def test_the_documented_role_is_enough_and_no_more(cluster: Cluster, connections: Connections) -> None:
    """Maint's token cannot create Deployments."""
    await cluster.deploy()
    assert await image(cluster.target) == "registry/app:1.0.0"

    answer = await cluster.admin.post(
        cluster.path("deployments"),
        json={"metadata": {"name": "other"}},
        headers={"Authorization": f"Bearer {BOT}"},
    )

    assert answer.status_code == 403


async def test_a_wrong_token_is_said_and_not_shown(fake: FakeCluster) -> None:
    """Whoever reads the message learns what to do, not the token."""
    target = target_of(url=fake.target.url, token="wrong-token-of-somebody")

    with pytest.raises(StepError, match="its token or certificate is wrong") as caught:
        await image(target)

    assert "wrong-token" not in str(caught.value) + repr(target)
    assert target.secrets() == ("wrong-token-of-somebody",)


async def test_somebody_who_is_quicker_is_not_overwritten(fake: FakeCluster, call: Call) -> None:
    """The change is made anew of what the other left."""
    await fake.deploy()
    step = KubernetesSetEnv(target="k8s", deployment="app", env={"TRAFFIC": "10"})
    recorded = await step.record(fake.target, call)
    await step.act(fake.target, call)
    left = 2

    def quicker() -> None:
        nonlocal left
        if left:
            left -= 1
            thing = fake.store.all("deployments")[0]
            env = thing["spec"]["template"]["spec"]["containers"][0]["env"]
            env.append({"name": f"OTHER_{left}", "value": "mine"})
            fake.store.put("deployments", thing)

    fake.api.before_patch = quicker
    await step.undo(fake.target, call_of(call.connections, before=recorded))

    assert await fake.env() == {"MODE": "calm", "OTHER_0": "mine", "OTHER_1": "mine"}


async def test_somebody_who_is_always_quicker_ends_the_step(fake: FakeCluster, call: Call) -> None:
    """It does not fight another controller for ever."""
    await fake.deploy()

    def quicker() -> None:
        thing = fake.store.all("deployments")[0]
        thing["metadata"].setdefault("annotations", {})["turn"] = str(fake.store.version)
        fake.store.put("deployments", thing)

    fake.api.before_patch = quicker

    with pytest.raises(StepError, match="others kept changing"):
        await SCALE.act(fake.target, call)


async def test_every_change_of_what_was_read_is_guarded(fake: FakeCluster, call: Call) -> None:
    """A JSON patch begins with the version that it was made of."""
    await fake.deploy()

    await SCALE.act(fake.target, call)

    ((path, patch),) = fake.api.patches
    assert path == "deployments/app/scale"
    assert (patch[0]["op"], patch[0]["path"]) == ("test", "/metadata/resourceVersion")


async def test_a_value_that_the_server_refuses_is_told_with_its_words(fake: FakeCluster, call: Call) -> None:
    """It is not taken for somebody else's change, and not tried again."""
    await fake.deploy()
    namespace = await open_target(fake.target, call.connections)

    with pytest.raises(StepError, match=r"refused the change.*must be greater than or equal to 0"):
        await namespace.scale("app", -1)

    assert len(fake.api.patches) == 1


async def test_a_server_that_is_away_for_a_moment_fails_no_rollout(
    fake: FakeCluster, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API server that is being replaced does not answer some calls; one that stays away is told."""
    await fake.deploy()
    away = 4
    authorise = fake.api._authorise

    def sometimes(*arguments: Any) -> None:
        nonlocal away
        if fake.api.patches and away:
            away -= 1
            raise Refusal(503, "ServiceUnavailable", "the server is currently unable to handle the request")
        authorise(*arguments)

    monkeypatch.setattr(fake.api, "_authorise", sometimes)
    step = KubernetesSetEnv(target="k8s", deployment="app", env={"A": "1"})
    await step.act(fake.target, call)
    assert away == 0

    away = 1000
    with pytest.raises(StepError, match="answered 503"):
        await KubernetesRolloutStatus(target="k8s", deployment="app").act(fake.target, call)


async def test_nobody_there_is_said(connections: Connections) -> None:
    """Port 1 of this machine answers nobody."""
    with pytest.raises(StepError, match="cannot be reached: it refused the connection"):
        await image(target_of(url="http://127.0.0.1:1", token="some-token"))


async def test_something_else_there_is_said(fake: FakeCluster) -> None:
    """An address that leads to another web server."""
    with pytest.raises(StepError, match="not as a Kubernetes API does"):
        await image(target_of(url=f"{fake.target.url}/elsewhere", token=BOT))


@pytest.fixture
async def secured(fake: FakeCluster, tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """The API of the tests over TLS: its address, and the file of its authority."""
    await fake.deploy()
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with serving(fake.api, context) as url:
        yield url, str(tmp_path / "ca.pem")


async def test_the_certificate_is_verified(secured: tuple[str, str]) -> None:
    """Only the authority that is named counts."""
    url, ca_file = secured

    assert await image(target_of(url=url, token=BOT, ca_file=ca_file)) == "registry/app:1.0.0"
    with pytest.raises(StepError, match="certificate does not hold"):
        await image(target_of(url=url, token=BOT))


async def test_a_token_in_a_file_is_read_again_when_it_was_replaced(
    secured: tuple[str, str], tmp_path: Path
) -> None:
    """As the kubelet does with the tokens of service accounts."""
    url, ca_file = secured
    file = tmp_path / "token"
    file.write_text("expired-token")
    target = target_of(url=url, token_file=str(file), ca_file=ca_file)
    async with Connections() as connections:
        namespace = await open_target(target, connections)
        with pytest.raises(StepError, match="token or certificate is wrong"):
            await namespace.get("Deployment", "app")

        file.write_text(BOT + "\n")

        assert (await namespace.get("Deployment", "app"))["metadata"]["name"] == "app"


async def test_a_kubeconfig_lets_in(secured: tuple[str, str], tmp_path: Path) -> None:
    """With the authority in it or beside it, and one context of several."""
    url, _ = secured
    config = kubeconfig(url, "ca.pem", BOT)
    config["contexts"].append({"name": "other", "context": {"cluster": "there", "user": "somebody"}})
    data = base64.b64encode((tmp_path / "ca.pem").read_bytes()).decode()
    there = {"server": url, "certificate-authority-data": data}
    config["clusters"].append({"name": "there", "cluster": there})
    (tmp_path / "config").write_text(json.dumps(config))

    for context in (None, "other"):
        target = target_of(kubeconfig=str(tmp_path / "config"), context=context)
        assert await image(target) == "registry/app:1.0.0"


async def test_a_program_of_a_kubeconfig_gives_the_token(secured: tuple[str, str], tmp_path: Path) -> None:
    """As those of the clouds do."""
    url, ca_file = secured
    config = kubeconfig(url, ca_file, "")
    said = json.dumps({"status": {"token": BOT}})
    config["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": sys.executable,
            "args": ["-c", f"print('{said}')"],
        }
    }
    (tmp_path / "config").write_text(json.dumps(config))

    assert await image(target_of(kubeconfig=str(tmp_path / "config"))) == "registry/app:1.0.0"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ([sys.executable, "-c", "import sys; sys.exit('log in again')"], "the login failed.*log in again"),
        ([sys.executable, "-c", "print('{}')"], "the login failed"),
        (["/no/such/program"], "the login failed.*No such file"),
    ],
)
async def test_a_program_that_gives_no_token_is_said(tmp_path: Path, command: list[str], says: str) -> None:
    """It is the login that failed, not the cluster that is away."""
    config = kubeconfig("http://127.0.0.1:1", "", "")
    del config["clusters"][0]["cluster"]["certificate-authority"]
    version = "client.authentication.k8s.io/v1beta1"
    program = {"apiVersion": version, "command": command[0], "args": command[1:]}
    config["users"][0]["user"] = {"exec": program}
    (tmp_path / "config").write_text(json.dumps(config))

    with pytest.raises(StepError, match=says):
        await image(target_of(kubeconfig=str(tmp_path / "config")))


async def test_outside_of_a_cluster_there_is_no_service_account() -> None:
    """`in_cluster` is for Maint in a pod."""
    with pytest.raises(StepError, match="the login to k8s cannot be used"):
        await image(target_of(in_cluster=True))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "not found"),
        ("a: [", "is no kubeconfig"),
        ("clusters: 3", "is no kubeconfig"),
        (
            json.dumps({**kubeconfig("https://a", "ca.pem", "t0ken"), "current-context": "gone"}),
            "'gone' not found",
        ),
        (json.dumps(kubeconfig("https://a", "gone.pem", "t0ken")), "cannot be read"),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_said(tmp_path: Path, text: str | None, says: str) -> None:
    """Without what stands in it."""
    if text is not None:
        (tmp_path / "config").write_text(text)

    with pytest.raises(StepError, match=says) as caught:
        await image(target_of(kubeconfig=str(tmp_path / "config")))

    assert "t0ken" not in str(caught.value)


async def test_a_missing_client_is_said(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    """lightkube is an extra."""
    monkeypatch.setitem(sys.modules, "runbooks.steps.kubernetes_client", None)

    with pytest.raises(StepError, match=r"pip install 'maintbot\[kubernetes\]'"):
        await open_target(target_of(url="https://a"), connections)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "needs one of"),
        ({"url": "https://a", "in_cluster": True}, "needs one of"),
        ({"url": "https://a", "context": "b"}, "chooses one of a"),
        ({"in_cluster": True, "token": "abcdef"}, "go with `url:`"),
        ({"url": "https://a", "token": "abcdef", "token_file": "t"}, "two ways"),
        ({"url": "http://a", "token": "abcdef"}, "only sent over https"),
        ({"url": "https://a", "namespace": "../kube-system"}, "pattern"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(fields: dict[str, Any], says: str) -> None:
    """Before anything is sent anywhere."""
    with pytest.raises(ValidationError, match=says):
        target_of(**fields)
