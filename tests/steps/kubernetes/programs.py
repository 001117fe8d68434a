"""A real Kubernetes control plane: etcd, kube-apiserver and kube-controller-manager, from the PATH.

There is no kubelet: `Kubelet` says through the API that pods are ready, as one would. Pods whose image has
`bad` in it stay as they are.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import trustme

from tests.steps.kubernetes.api import ADMIN, BOT

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")
#: Seconds until all of it answers; some 15 on a free machine.
LONGEST_START = 90.0

#: HTTPRoute as far as the tests use it. The project's own CRD belongs to gateway-api, which no package has.
ROUTES: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "httproutes.gateway.networking.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api"},
    },
    "spec": {
        "group": "gateway.networking.k8s.io",
        "scope": "Namespaced",
        "names": {"kind": "HTTPRoute", "plural": "httproutes", "singular": "httproute"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "parentRefs": {
                                        "type": "array",
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {"name": {"type": "string"}},
                                        },
                                    },
                                    "rules": {
                                        "type": "array",
                                        "items": {
                                            "type": "object",
                                            "properties": {
                                                "backendRefs": {
                                                    "type": "array",
                                                    "items": {
                                                        "type": "object",
                                                        "required": ["name"],
                                                        "properties": {
                                                            "name": {"type": "string"},
                                                            "port": {"type": "integer"},
                                                            "weight": {
                                                                "type": "integer",
                                                                "minimum": 0,
                                                                "maximum": 1000000,
                                                            },
                                                        },
                                                    },
                                                }
                                            },
                                        },
                                    },
                                },
                            },
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


def missing() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name) is None]


@contextmanager
def control_plane(folder: Path) -> Iterator[tuple[str, str]]:
    """The address of the API server and the file of its authority; tokens ADMIN and BOT get in."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.cert_chain_pems[0].write_to_path(folder / "tls.pem")
    certificate.private_key_pem.write_to_path(folder / "tls.key")
    subprocess.run(
        ["openssl", "genrsa", "-out", str(folder / "accounts.key"), "2048"], check=True, capture_output=True
    )
    (folder / "tokens.csv").write_text(f'{ADMIN},admin,1,"system:masters"\n{BOT},maint,2\n')
    ports = {name: _free_port() for name in ("client", "peer", "api")}
    url = f"https://127.0.0.1:{ports['api']}"
    (folder / "kubeconfig").write_text(json.dumps(kubeconfig(url, str(folder / "ca.pem"), ADMIN)))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for argv in _commands(folder, ports, url):
            with (folder / f"{argv[0]}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder, start_new_session=True)
                )
            if argv[0] == "kube-apiserver":
                _wait(url, folder)
        yield url, str(folder / "ca.pem")
    finally:
        for process in reversed(processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def kubeconfig(url: str, ca_file: str, token: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [{"name": "here", "cluster": {"server": url, "certificate-authority": ca_file}}],
        "users": [{"name": "somebody", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "here", "user": "somebody"}}],
    }


def _commands(folder: Path, ports: dict[str, int], url: str) -> list[list[str]]:
    etcd = f"http://127.0.0.1:{ports['client']}"
    peer = f"http://127.0.0.1:{ports['peer']}"
    return [
        [
            "etcd",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        ],
        [
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={ports['api']}",
            f"--tls-cert-file={folder / 'tls.pem'}",
            f"--tls-private-key-file={folder / 'tls.key'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--service-account-issuer=https://tests.invalid",
            f"--service-account-key-file={folder / 'accounts.key'}",
            f"--service-account-signing-key-file={folder / 'accounts.key'}",
            "--service-cluster-ip-range=10.0.0.0/24",
        ],
        [
            "kube-controller-manager",
            f"--kubeconfig={folder / 'kubeconfig'}",
            "--controllers=deployment,replicaset,namespace",
            "--leader-elect=false",
            "--port=0",
            "--secure-port=0",
        ],
    ]


def _wait(url: str, folder: Path) -> None:
    authorised = {"Authorization": f"Bearer {ADMIN}"}
    deadline = time.monotonic() + LONGEST_START
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    with httpx.Client(verify=context, headers=authorised, trust_env=False) as client:
        while time.monotonic() < deadline:
            try:
                if client.get(f"{url}/readyz").status_code == 200:
                    made = client.post(
                        f"{url}/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json=ROUTES
                    )
                    assert made.status_code in (201, 409), made.text
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
    raise AssertionError(
        f"kube-apiserver did not start: {(folder / 'kube-apiserver.log').read_text()[-2000:]}"
    )


class Kubelet:
    """Says that pods run, and that the routes of a namespace are carried out."""

    def __init__(self, admin: httpx.AsyncClient, namespace: str) -> None:
        self._admin = admin
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._routes = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes"
        self.gateway = True

    async def run(self) -> None:
        while True:
            for pod in (await self._admin.get(self._pods)).json()["items"]:
                ready = any(item["type"] == "Ready" for item in pod["status"].get("conditions", ()))
                if not ready and "bad" not in pod["spec"]["containers"][0]["image"]:
                    await self._patch(f"{self._pods}/{pod['metadata']['name']}", _running(pod))
            for route in (
                (await self._admin.get(self._routes)).json().get("items", ()) if self.gateway else ()
            ):
                await self._patch(f"{self._routes}/{route['metadata']['name']}", _accepted(route))
            await asyncio.sleep(0.2)

    async def _patch(self, path: str, status: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = await self._admin.patch(
            f"{path}/status", content=json.dumps({"status": status}), headers=headers
        )
        assert answer.status_code in (200, 404, 409), answer.text


def _running(pod: dict[str, Any]) -> dict[str, Any]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    conditions = [
        {"type": type_, "status": "True", "lastTransitionTime": now} for type_ in ("Ready", "ContainersReady")
    ]
    return {"phase": "Running", "conditions": conditions}


def _accepted(route: dict[str, Any]) -> dict[str, Any]:
    seen = {"status": "True", "reason": "Ok", "observedGeneration": route["metadata"]["generation"]}
    conditions = [{"type": type_, **seen} for type_ in ("Accepted", "ResolvedRefs")]
    return {
        "parents": [
            {"parentRef": parent, "controllerName": "tests/gateway", "conditions": conditions}
            for parent in route["spec"].get("parentRefs", ())
        ]
    }
