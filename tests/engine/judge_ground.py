"""An experiment on a real API server, and judges of it that can be killed before and after any of their writes."""

import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2
import yaml
from lightkube import Client, KubeConfig
from modelway.rollout.objects import JudgeSpec, judge_manifests
from rollout_judge.cluster import Objects
from rollout_judge.judge import Judge
from rollout_judge.lease import Lease
from rollout_judge.log import Log
from rollout_judge.plan import Plan
from rollout_judge.settings import Settings
from rollout_judge.state import State
from rollout_judge.telemetry import Telemetry
from rollout_testing import ROUTE, World

from tests.engine.apiserver import Api

COMMAND = "modelway.dev/rollout-command"
ROLES = ("experiment", "experiment-state", "lease", "judge-service-account", "judge-role", "judge-role-binding")


class KilledError(BaseException):
    """The judge's process ended here."""


@dataclass
class Death:
    """Ends a judge at its `write`-th write since `begin`: before the API server got it, or after."""

    write: int = 0
    after: bool = False
    seen: int = 0
    sleeps: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What happens, once, while the judge sleeps before its write of this resource, such as `httproutes`."""

    def met(self, after: bool) -> bool:
        return self.write > 0 and self.seen == self.write and self.after is after


class Transport(httpx2.HTTPTransport):
    """Counts writes."""

    def __init__(self, death: Death, certificate: Path) -> None:
        super().__init__(verify=ssl.create_default_context(cafile=str(certificate)))
        self._death = death

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        death = self._death
        if request.method == "GET":
            return super().handle_request(request)
        for resource in [name for name in death.sleeps if f"/{name}/" in request.url.path]:
            death.sleeps.pop(resource)()
        death.seen += 1
        if death.met(after=False):
            raise KilledError
        answer = super().handle_request(request)
        answer.read()
        if death.met(after=True):
            raise KilledError
        return answer


@dataclass
class Clock:
    """Seconds of a Lease; a pod's own, so that tests need not wait for its end."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Pod:
    """A judge in a pod."""

    judge: Judge
    telemetry: Telemetry
    clock: Clock
    death: Death
    log: StringIO

    def lines(self) -> list[dict[str, Any]]:
        """What it logged."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@dataclass
class Ground:
    """One experiment in a namespace of its own."""

    api: Api
    namespace: str
    plan: Plan
    world: World = field(default_factory=World)
    route: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(ROUTE)))
    token: str = ""
    """Of the judge's account."""

    def __post_init__(self) -> None:
        self.route["metadata"]["namespace"] = self.namespace
        self.api.kubectl("create", "namespace", self.namespace)
        self.apply_all(*[self.manifests()[role] for role in ROLES])
        self.write_route()

    def write_route(self) -> None:
        """The split route with the deployment's weights, under the experiment."""
        annotated = json.loads(json.dumps(self.route))
        annotated["metadata"]["annotations"] = {"modelway.dev/experiment": "m-experiment"}
        annotated["spec"]["parentRefs"] = [{"name": "modelway"}]
        self.apply_all(annotated)

    def manifests(self) -> dict[str, dict[str, Any]]:
        """The objects as the deployment makes them."""
        texts = {"plan": self.plan.model_dump_json(), "route": json.dumps(self.route)}
        rest = {"image": "registry.example/judge@sha256:" + "a" * 64, "content": "x", "prometheus_url": "http://p"}
        spaces = {"gateway_namespace": "gateway", "monitoring_namespace": "monitoring"}
        return judge_manifests(JudgeSpec(model="m", namespace=self.namespace, **texts, **rest, **spaces))

    def apply_all(self, *manifests: dict[str, Any]) -> None:
        """As the deployment applies them."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        self.api.kubectl("apply", "--server-side", "--field-manager=pulumi", "--force-conflicts", "-f", "-", stdin=text)

    def publish(self) -> None:
        """Write the ConfigMap again, after a change of plan or route."""
        self.apply_all(self.manifests()["experiment"])

    def pod(self, name: str = "judge-a") -> Pod:
        """A judge with the rights of its own account."""
        death, clock, log, telemetry = Death(), Clock(), StringIO(), Telemetry()
        settings = Settings(
            namespace=self.namespace,
            experiment="m-experiment",
            prometheus_url="http://127.0.0.1:1",
            gateway_namespace="gateway",
            pod=name,
        )
        client = self._client(death)
        lease = Lease(client, settings.experiment, settings.namespace, settings.pod, clock)
        objects = Objects(client, settings)
        judge = Judge(settings, lease, objects, self.world, telemetry, Log(log), lambda: self.world.time)
        return Pod(judge, telemetry, clock, death, log)

    def _client(self, death: Death) -> Client:
        if not self.token:
            self.token = self.api.kubectl("create", "token", "m-judge", "-n", self.namespace).strip()
        document = yaml.safe_load(self.api.kubeconfig())
        document["users"][0]["user"] = {"token": self.token}
        transport = Transport(death, self.api.folder / "ca.crt")
        return Client(config=KubeConfig.from_dict(document), transport=transport, trust_env=False)

    def seconds(self, number: int) -> None:
        """Let requests come, divided as the route says."""
        weights = self.weights()
        for _ in range(number):
            self.world.second(weights)

    def course(self, pod: Pod, looks: int) -> None:
        """A look every five seconds."""
        for _ in range(looks):
            pod.judge.turn()
            self.seconds(5)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """One object."""
        found: dict[str, Any] = json.loads(
            self.api.kubectl("get", kind, name, "-n", self.namespace, "-o", "json", "--show-managed-fields")
        )
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Rules of the split route."""
        found: list[dict[str, Any]] = self.get("httproute", "m-split")["spec"]["rules"]
        return found

    def weights(self) -> dict[str, int]:
        """Share of each version in the live route, where places of versions without one are lent."""
        question = ("get", "configmap", "m-experiment", "-n", self.namespace, "--ignore-not-found", "-o", "json")
        if planned := self.api.kubectl(*question):
            rules = json.loads(json.loads(planned)["data"]["route.json"])["spec"]["rules"]
            shares = {one["name"].removeprefix("m-"): 0 for one in rules[0]["backendRefs"]}
        else:
            shares = dict.fromkeys(self.state().weights, 0)
        for one in self.rules()[0]["backendRefs"]:
            version = one["name"].removeprefix("m-")
            shares[version] = shares.get(version, 0) + one["weight"]
        return shares

    def state(self) -> State:
        """What the judge wrote."""
        return State.from_json(self.get("configmap", "m-experiment-state")["data"]["state.json"])

    def events(self) -> list[str]:
        """Reasons of the Events, in the order of the history."""
        text = self.api.kubectl("get", "events.events.k8s.io", "-n", self.namespace, "-o", "json")
        items = [item for item in json.loads(text)["items"] if item["metadata"]["name"].startswith("m-experiment.")]
        return [item["reason"] for item in sorted(items, key=lambda item: int(item["metadata"]["name"].split(".")[-1]))]

    def ask(self, **command: str) -> None:
        """Leave a command, as the command line does."""
        note = f"{COMMAND}={json.dumps({'id': command['command'], **command})}"
        self.api.kubectl("annotate", "--overwrite", "configmap", "m-experiment-state", "-n", self.namespace, note)
