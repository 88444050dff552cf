"""The evaluation gate of a stack: what its config may say, and which versions it refuses, in one sentence each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra import evaluation, program
from infra.config_schema import Settings
from infra.settings import load
from pipeline import attestation, signing
from tests.unit.conftest import Deployed
from tools.problem import ProblemError

Deploy = Callable[[Callable[[], object]], Deployed]
SHA256 = "a" * 64
IMAGE = f"registry.example/iris@sha256:{SHA256}"
WHERE = "modelway:models iris.v1"
LINE = "MCowBQYDK2VwAyEAl5ffPsDEVUVwMtO0K/KQ+BWD2bjezSmMGrt6ECTfqkA="
OTHER = "MCowBQYDK2VwAyEAa5ffPsDEVUVwMtO0K/KQ+BWD2bjezSmMGrt6ECTfqkA="
PRODUCTION = {
    "environment": "production",
    "cluster": {"provider": "existing", "kubeconfig": "k"},
    "gateway": {
        "address": "a.example",
        "tls": {"hosts": ["a.example"], "issuer": "secret", "secret": "tls"},
        "auth": {},
    },
    "images": {"gateway": IMAGE, "prometheus": IMAGE},
}


def config(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "cluster": {"provider": "node"},
        "models": [{"name": "iris", "versions": [{"name": "v1", "image": IMAGE}]}],
    }
    return {f"modelway:{key}": value for key, value in {**base, **changes}.items()}


def settings(**evaluated: Any) -> Settings:
    return load(config(evaluation=evaluated), "test")


def sentences(**changes: Any) -> list[str]:
    with pytest.raises(ProblemError) as caught:
        load(config(**changes), "test")
    return [str(problem) for problem in caught.value.problems if "modelway:evaluation" in problem.where]


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("MODELWAY_IMAGES_LOCK", str(tmp_path / "images.lock.json"))
    signing.create(tmp_path / "key.pem")
    return tmp_path / "key.pem"


def line(key: Path) -> str:
    return signing.public_file(key).read_text().strip()


def put(folder: Path, key: Path, sha256: str = SHA256, **changes: Any) -> Path:
    report = {"accepted": True, "reasons": [], "rules": {}, "checks": {}, "held_out_sha256": "b", "champion_sha256": ""}
    envelope = attestation.sign(attestation.statement({"image": sha256}, report | changes), key)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{SHA256}.dsse.json"
    file.write_bytes(envelope)
    return file


def found(stack: Settings, *folders: Path) -> list[str]:
    problems = evaluation.report_problems(stack, {("iris", "v1"): SHA256}, folders)
    return [str(problem) for problem in problems]


def test_reports_are_required_in_production_and_where_a_key_is_named() -> None:
    assert not evaluation.is_required(settings())
    assert evaluation.is_required(settings(publicKeys=[LINE]))
    assert evaluation.is_required(load(config(**PRODUCTION, evaluation={"publicKeys": [LINE]}), "test"))
    assert not evaluation.is_required(load(config(**PRODUCTION, evaluation={"required": False}), "test"))


def test_production_without_a_key_is_refused() -> None:
    assert sentences(**PRODUCTION) == [
        "modelway:evaluation.publicKeys: missing in a production stack: got no key, allowed the line that "
        "`python -m pipeline key FILE` prints, or required: false; name the key that signs your evaluation reports."
    ]


@pytest.mark.parametrize(
    ("evaluated", "expected"),
    [
        (
            {"required": True},
            "modelway:evaluation.publicKeys: missing with required: true: got no key, allowed the line that "
            "`python -m pipeline key FILE` prints, or required: false; name the key that signs your evaluation reports.",
        ),
        (
            {"required": False, "publicKeys": [LINE]},
            "modelway:evaluation.publicKeys: does nothing: got 1 with no report required, allowed only where reports are "
            "required; remove publicKeys, or required: false.",
        ),
        (
            {"exempt": {"iris.v1": "judged elsewhere"}},
            "modelway:evaluation.exempt: does nothing: got 1 with no report required, allowed only where reports are "
            "required; remove exempt, or required: false.",
        ),
        (
            {"publicKeys": ["ssh-ed25519 AAAA"]},
            "modelway:evaluation.publicKeys[0]: is no ed25519 public key: got 'ssh-ed25519 AAAA', allowed the line that "
            "`python -m pipeline key FILE` prints; copy that line.",
        ),
        (
            {"publicKeys": [LINE, LINE]},
            f"modelway:evaluation.publicKeys: key named twice: got '{LINE}', allowed each key once; remove one.",
        ),
        (
            {"publicKeys": [LINE, OTHER, "local"]},
            "modelway:evaluation.publicKeys: not allowed: got a list of 3, allowed 2 or fewer entries; correct it.",
        ),
        (
            {"publicKeys": [LINE], "exempt": {"iris.v2": "judged elsewhere"}},
            "modelway:evaluation.exempt.iris.v2: no such version: got 'iris.v2', allowed iris.v1; correct or remove it.",
        ),
        (
            {"publicKeys": [LINE], "exempt": {"iris.v1": " "}},
            "modelway:evaluation.exempt.iris.v1: has no reason: got ' ', allowed a sentence; say why it needs no report.",
        ),
    ],
)
def test_settings_that_are_wrong_or_do_nothing_are_refused(evaluated: dict[str, Any], expected: str) -> None:
    assert sentences(evaluation=evaluated) == [expected]


def test_production_trusts_no_machine_s_own_key() -> None:
    assert sentences(**PRODUCTION, evaluation={"publicKeys": ["local"]}) == [
        "modelway:evaluation.publicKeys[0]: trusts one machine in a production stack: got local, allowed the line of a "
        "key that CI keeps; name that key."
    ]


def test_a_version_with_a_passed_report_in_either_folder_is_accepted(key: Path, tmp_path: Path) -> None:
    stack = settings(publicKeys=[line(key)])
    put(tmp_path / "two", key)
    assert found(stack, tmp_path / "one", tmp_path / "two") == []
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / f"{SHA256}.dsse.json").write_text("{}")
    assert found(stack, tmp_path / "one", tmp_path / "two") == []


def test_during_a_rotation_reports_by_both_keys_are_accepted(key: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.pem"
    stack = settings(publicKeys=[line(key), signing.create(new)])
    for signer in (key, new):
        put(tmp_path / "r", signer)
        assert found(stack, tmp_path / "r") == []
    put(tmp_path / "r", key)
    assert found(settings(publicKeys=[line(new)]), tmp_path / "r") != []


def test_this_machines_own_key_is_named_local(key: Path, tmp_path: Path) -> None:
    stack = settings(publicKeys=["local"])
    assert found(stack, tmp_path) == [
        "modelway:evaluation.publicKeys: local key is missing: got no key on this machine, allowed a key; run "
        "`python -m pipeline example` or `evaluate`, which makes one."
    ]
    signing.ensure_local_key()
    put(tmp_path, signing.local_key())
    assert found(stack, tmp_path) == []
    put(tmp_path, key)
    assert "is signed by another key" in found(stack, tmp_path)[0]


def test_each_bad_report_is_refused_in_one_sentence(key: Path, tmp_path: Path) -> None:
    stack, folder = settings(publicKeys=[line(key)]), tmp_path / "r"
    again = "evaluate and package the version again with the key of this stack."
    assert found(stack, folder) == [
        f"{WHERE}: has no evaluation report: got no aaaaaaaaaaaa….dsse.json in {folder}, allowed a report signed by a key of "
        "this stack; run `python -m pipeline evaluate` and `package` with the key, or commit the report that CI made."
    ]
    file = put(folder, key)
    unsigned = attestation.verify(file.read_bytes(), [line(key)])
    file.write_text(json.dumps(unsigned))
    assert found(stack, folder) == [
        f"{WHERE}: evaluation report is not signed: got no DSSE envelope, allowed an envelope that `pipeline` signed; {again}"
    ]
    put(folder, key, sha256="c" * 64)
    assert found(stack, folder) == [
        f"{WHERE}: evaluation report is for another digest: got sha256 cccccccccccc…, allowed sha256 aaaaaaaaaaaa…; {again}"
    ]
    other = tmp_path / "other.pem"
    signing.create(other)
    put(folder, other)
    (sentence,) = found(stack, folder)
    assert sentence.startswith(f"{WHERE}: evaluation report is signed by another key: got key ")
    assert sentence.endswith(f" of modelway:evaluation.publicKeys; {again}")
    put(folder, key, accepted=False, reasons=["f1: 0.5 misses the floor 0.9"])
    assert found(stack, folder) == [
        f"{WHERE}: evaluation report says that the gate rejected the model: got f1: 0.5 misses the floor 0.9, allowed "
        f"PASSED; {again}"
    ]


def test_an_exempt_version_needs_no_report(key: Path, tmp_path: Path) -> None:
    stack = settings(publicKeys=[line(key)], exempt={"iris.v1": "a language model, judged elsewhere"})
    assert found(stack, tmp_path) == []


def test_the_program_refuses_before_it_registers_anything(
    deploy: Deploy, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "accepted_dir", lambda: tmp_path / "accepted")
    raw = config(evaluation={"publicKeys": [line(key)]})

    def run() -> None:
        pulumi.runtime.set_all_config({name: json.dumps(value) for name, value in raw.items()})
        program.main()

    with pytest.raises(pulumi.RunError, match=f"{WHERE}: has no evaluation report: got no aaaaaaaaaaaa"):
        deploy(run)


def test_the_program_deploys_a_version_whose_report_passed(
    deploy: Deploy, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "accepted_dir", lambda: tmp_path / "accepted")
    put(tmp_path / "evaluations", key)
    raw = config(
        evaluation={"publicKeys": [line(key)]}, cluster={"provider": "existing", "kubeconfig": str(tmp_path / "kube")},
        gateway={"address": "a.example"},
    )  # fmt: skip
    (tmp_path / "kube").write_text("{}")

    def run() -> None:
        pulumi.runtime.set_all_config({name: json.dumps(value) for name, value in raw.items()})
        program.main()

    assert deploy(run).names("Deployment")[0] == "iris-v1-deployment"
