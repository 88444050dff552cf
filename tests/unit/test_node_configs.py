"""What the node's processes are told."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml

from tools.node import addons, configs, plan, render
from tools.node.api import PLURALS, path_of
from tools.node.layout import Layout, Ports
from tools.problem import ProblemError

LAYOUT = Layout(Path("/state/node"))
NAMES = (
    "etcd", "containerd", "registry", "haproxy", "ctr", "kube-apiserver", "kube-controller-manager",
    "kube-scheduler", "kubelet", "kube-proxy", "calico-felix",
)  # fmt: skip
PROGRAMS = {name: Path("/bin") / name for name in NAMES}


def made() -> plan.Plan:
    return plan.make(LAYOUT, PROGRAMS, "/bin", (7, 8, 9))


def arguments(name: str) -> dict[str, str]:
    (process,) = [process for process in made().processes if process.name == name]
    return {key: value for key, _, value in (argument.partition("=") for argument in process.argv[1:])}


def test_containerd_keeps_its_data_in_the_folder_and_its_sockets_in_memory() -> None:
    config = tomllib.loads(configs.containerd(LAYOUT))
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]

    assert (config["root"], config["state"]) == ("/state/node/data/containerd", "/run/containerd")
    assert config["grpc"]["address"] == "/run/containerd.sock"
    assert cri["restrict_oom_score_adj"] is True
    assert cri["sandbox_image"] == "registry.k8s.io/pause:3.10"
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": False}
    assert cri["cni"] == {"bin_dir": "/state/node/plugins", "conf_dir": "/state/node/config/cni"}


def test_kubelet_asks_the_api_server_and_trusts_no_stranger() -> None:
    config = yaml.safe_load(configs.kubelet(LAYOUT))

    assert config["authentication"] == {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": "/state/node/pki/ca.crt"},
    }
    assert config["authorization"] == {"mode": "Webhook"}
    assert config["readOnlyPort"] == 0
    assert config["failCgroupV1"] is False
    assert config["cgroupRoot"] == f"/{LAYOUT.cgroup}"


def test_the_api_server_takes_certificates_only() -> None:
    flags = arguments("kube-apiserver")

    assert flags["--anonymous-auth"] == "false"
    assert flags["--authorization-mode"] == "Node,RBAC"
    assert flags["--enable-admission-plugins"] == "NodeRestriction,PodSecurity"
    assert flags["--encryption-provider-config"] == "/state/node/pki/encryption.yaml"
    assert flags["--kubelet-certificate-authority"] == "/state/node/pki/ca.crt"
    assert "--token-auth-file" not in flags


def test_nothing_skips_certificate_checks() -> None:
    said = made().dump() + "".join(render.files(LAYOUT, {"api": 1}).values())
    said += repr(addons.objects(b"authority", b"certificate", b"key"))

    assert "insecure" not in said.replace("pods insecure", "")


def test_secrets_are_never_arguments() -> None:
    assert not [argument for process in made().processes for argument in process.argv if "BEGIN" in argument]


def test_the_plan_survives_the_way_to_the_supervisor() -> None:
    assert plan.Plan.parse(made().dump()) == made()


def test_etcd_stops_last_and_the_api_server_before_it() -> None:
    stages = {process.name: process.stage for process in made().processes}

    assert [name for name, stage in stages.items() if stage == plan.STORE] == ["etcd"]
    assert [name for name, stage in stages.items() if stage == plan.API] == ["kube-apiserver"]
    assert {name for name, stage in stages.items() if stage == plan.RUNTIME} == {"containerd", "registry"}


def test_the_forwarder_alone_gets_the_sockets_opened_outside() -> None:
    descriptors = {process.name: process.descriptors for process in made().processes if process.descriptors}
    config = configs.forwarder({"gateway": 7, "registry": 8, "api": 9})

    assert descriptors == {"forwarder": (7, 8, 9)}
    assert [line.strip() for line in config.splitlines() if "bind" in line or "server " in line] == [
        "timeout server 24h",
        "bind fd@7",
        "server gateway 127.0.0.1:30080",
        "bind fd@8",
        "server registry 127.0.0.1:5000",
        "bind fd@9",
        "server api 127.0.0.1:6443",
    ]


def test_images_pushed_through_a_moved_port_are_found_inside() -> None:
    layout = Layout(Path("/state/node"), Ports(registry=15000))
    texts = render.files(layout, {})

    hosts = {name: tomllib.loads(text)["server"] for name, text in texts.items() if name.startswith("registries/")}
    assert hosts == {
        "registries/127.0.0.1:5000/hosts.toml": "http://127.0.0.1:5000",
        "registries/127.0.0.1:15000/hosts.toml": "http://127.0.0.1:5000",
    }


def test_a_changed_port_or_argument_changes_the_fingerprint_and_the_order_does_not() -> None:
    texts = render.files(LAYOUT, {})
    other = plan.make(LAYOUT, PROGRAMS | {"etcd": Path("/other/etcd")}, "/bin", (7, 8, 9))

    same = render.fingerprint(Ports(), made(), texts)
    assert render.fingerprint(Ports(), made(), dict(reversed(texts.items()))) == same
    assert render.fingerprint(Ports(), other, texts) != same
    assert render.fingerprint(Ports(gateway=8081), made(), texts) != same


def test_a_pod_starts_once_felix_reports_its_policies() -> None:
    plugin, _ = json.loads(configs.cni(LAYOUT))["plugins"]
    felix = dict(line.split(" = ") for line in configs.felix().splitlines()[1:])

    assert plugin["endpoint_status_dir"] == f"{felix['EndpointStatusPathPrefix']}/endpoint-status"
    assert plugin["policy_setup_timeout_seconds"] > 0


def test_dns_listens_where_policies_expect_it() -> None:
    (deployment,) = [
        it
        for it in addons.objects(b"a", b"c", b"k")
        if (it["kind"], it["metadata"]["name"]) == ("Deployment", "coredns")
    ]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]

    assert {port["containerPort"] for port in container["ports"]} == {53}
    assert addons.COREFILE.startswith(".:53 {")


def test_add_ons_satisfy_the_restricted_level() -> None:
    for deployment in (it for it in addons.objects(b"a", b"c", b"k") if it["kind"] == "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_every_add_on_has_a_known_path() -> None:
    objects = [addons.admin_binding(), *addons.objects(b"a", b"c", b"k")]

    assert {(it["apiVersion"], it["kind"]) for it in objects} <= set(PLURALS)
    assert path_of(objects[0]) == "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/modelway:admins"


def test_two_state_folders_have_two_cgroups() -> None:
    assert Layout(Path("/a")).cgroup != Layout(Path("/b")).cgroup
    assert Layout(Path("/a")).cgroup == Layout(Path("/a")).cgroup


def test_every_wrong_port_is_said_at_once() -> None:
    with pytest.raises(ProblemError) as caught:
        Ports.load({"MODELWAY_API_PORT": "http", "MODELWAY_GATEWAY_PORT": "70000", "MODELWAY_REGISTRY_PORT": "5001"})

    assert str(caught.value).splitlines() == [
        "MODELWAY_GATEWAY_PORT: no TCP port: got '70000', allowed 1 to 65535; "
        "unset MODELWAY_GATEWAY_PORT or correct it.",
        "MODELWAY_API_PORT: no TCP port: got 'http', allowed 1 to 65535; unset MODELWAY_API_PORT or correct it.",
    ]


def test_ports_have_defaults_and_move() -> None:
    assert Ports.load({}) == Ports(gateway=8080, registry=5000, api=6443)
    assert Ports.load({"MODELWAY_API_PORT": "7443"}) == Ports(gateway=8080, registry=5000, api=7443)
