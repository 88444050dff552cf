"""The command line itself: usage, sentences, exit statuses, choice of the stack, quick start."""

import http.server
import io
import json
import os
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import cli, images, machine, predictions
from infra.choose import choose
from infra.config_schema import ModelSettings, Settings
from infra.identity import ClusterIdentity
from infra.predictions import Address, address, ask, probe_address, read_row
from infra.state import pods_by_version
from tests.loopback import serving
from tools.paths import PROJECT
from tools.problem import Problem, ProblemError

MODEL = ModelSettings.model_validate(
    {"name": "m", "versions": [{"name": "v1", "image": "m:v1"}, {"name": "v2", "image": "m:v2"}]}
)


def modelway(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "infra.cli", *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_answers_without_the_engine_and_names_every_command() -> None:
    code = (
        "import sys\nfrom infra import cli\nsys.argv = ['modelway', '--help']\ntry: cli.main()\nfinally:\n"
        "    heavy = ('pulumi', 'grpc', 'httpx', 'sklearn', 'pydantic')\n"
        "    print([name for name in sys.modules if name.split('.')[0] in heavy])"
    )
    best, text = 9.0, ""
    for _ in range(3):
        started = time.monotonic()
        text = subprocess.run(
            [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
        ).stdout
        best = min(best, time.monotonic() - started)
    for command in ("doctor", "up", "preview", "down", "status", "predict", "node"):
        assert f" {command} " in text
    assert text.splitlines()[-1] == "[]"
    assert best < 2.0  # 0.2 s on an idle machine; the modules above cost seconds


@pytest.mark.parametrize("module", ["settings", "deploy", "state", "state_view", "asking", "rollout_view", "keys"])
def test_what_every_command_needs_is_loaded_without_the_engine_and_its_resources(module: str) -> None:
    code = (
        f"import sys, infra.{module}\nfrom infra.settings import load_file\nfrom tools.paths import PROJECT\n"
        "load_file(PROJECT / 'stacks/Pulumi.node.yaml', 'node')\n"
        "print([name for name in sys.modules if name.startswith('pulumi_') or name == 'infra.engine.session'])"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_unknown_command_is_a_usage_error() -> None:
    result = modelway("uq")
    assert result.returncode == 2
    assert "uq" in result.stderr


def test_an_unknown_stack_is_one_sentence(tmp_path: Path) -> None:
    result = modelway("up", "nod", MODELWAY_STATE_DIR=str(tmp_path))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("STACK: no such stack: got 'nod', allowed aws-production, ")


def ended(run: Any) -> int:
    with pytest.raises(SystemExit) as raised:
        cli.guarded(run)
    assert isinstance(raised.value.code, int)
    return raised.value.code


def failing(error: BaseException) -> Any:
    def run() -> None:
        raise error

    return run


def test_all_problems_are_sentences_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    error = ProblemError([Problem("a", "b", "c", "d", "e"), Problem("f", "g", "h", "i", "j")])
    assert ended(failing(error)) == 1
    assert capsys.readouterr().err == "a: b: got c, allowed d; e.\nf: g: got h, allowed i; j.\n"


def test_anything_unexpected_is_one_sentence_and_a_private_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(tmp_path))
    assert ended(failing(KeyError("lost"))) == 1
    (log,) = (tmp_path / "logs").iterdir()
    assert capsys.readouterr().err == f"modelway: unexpected KeyError: 'lost'; the traceback is in {log}.\n"
    assert "Traceback" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_an_interrupt_outside_the_engine_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    ends: list[int] = []
    monkeypatch.setattr("infra.choose.choose", interrupt)
    monkeypatch.setattr(sys, "argv", ["modelway", "status"])
    monkeypatch.setattr(cli.os, "_exit", ends.append)
    with pytest.raises(SystemExit):
        cli.main()
    assert ends == [130]
    assert capsys.readouterr().err == "Cancelled; nothing is lost: run the same command again to go on.\n"


@pytest.mark.parametrize(
    ("named", "docker", "stack", "word"),
    [
        ("aws-staging", True, "aws-staging", ""),
        (None, True, "local", "Docker answers"),
        (None, False, "node", "no Docker"),
    ],
)
def test_the_stack_is_the_named_one_else_what_docker_decides(
    named: str | None, docker: bool, stack: str, word: str
) -> None:
    choice = choose(named, lambda: docker)
    assert choice.stack == stack
    assert word in choice.reason
    assert bool(choice.reason) == (named is None)


def test_addresses_follow_prefix_host_version_and_header() -> None:
    owner = MODEL.model_copy(update={"host": "m.example.org", "path_prefix": "/"})
    gateway = "http://127.0.0.1:8080"
    assert address(gateway, MODEL, None) == Address(f"{gateway}/m/predict")
    assert address(gateway, MODEL, "v2") == Address(f"{gateway}/m/v2/predict")
    assert address(gateway, MODEL, "v2", "header") == Address(f"{gateway}/m/predict", {"x-model-version": "v2"})
    assert address(gateway, owner, "v1") == Address(f"{gateway}/v1/predict", {"host": "m.example.org"})
    with pytest.raises(ProblemError, match="no such version of m: got 'v3', allowed v1, v2"):
        address(gateway, MODEL, "v3")


@pytest.mark.parametrize(
    ("runtime", "split", "pinned"),
    [
        ("mlserver", "/m/v2/health/ready", "/m/v1/v2/health/ready"),
        ("triton", "/m/v2/health/ready", "/m/v1/v2/health/ready"),
        ("vllm", "/m/v1/models", "/m/v1/v1/models"),
    ],
)
def test_a_model_without_predict_is_awaited_by_its_protocol_and_asked_by_other_clients(
    runtime: str, split: str, pinned: str
) -> None:
    versions = [{"name": "v1", "image": "m:v1", "runtime": runtime}]
    model = ModelSettings.model_validate({"name": "m", "versions": versions})
    assert probe_address("http://g", model, None) == Address(f"http://g{split}", {}, foreign=True, method="GET")
    assert probe_address("http://g", model, "v1").url == f"http://g{pinned}"
    with pytest.raises(ProblemError, match=r"MODEL: m has no /predict: got /v\d, allowed runtime"):
        address("http://g", model, None)


@pytest.mark.parametrize(
    ("where", "row", "served"),
    [
        (Address("u"), {"a": 1}, {200}),
        (Address("u"), None, {200, 422}),
        (Address("u", refusals=frozenset({401, 403})), {"a": 1}, {200, 401, 403}),
        (Address("u", foreign=True), {"a": 1}, {200}),
        (Address("u", foreign=True), None, {200, 400, 401, 403, 415, 422}),
        (Address("u", method="GET"), {"a": 1}, {200}),
    ],
)
def test_a_url_is_served_when_no_gateway_could_have_answered_so(
    where: Address, row: dict[str, Any] | None, served: set[int]
) -> None:
    statuses = (200, 400, 401, 403, 404, 415, 422, 500, 503, 504)
    assert {status for status in statuses if predictions._served(where, row, status)} == served


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        row = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = json.dumps({"row": row, "version": self.headers.get("x-model-version"), "path": self.path}).encode()
        self.send_response(200 if "bad" not in row else 422)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with serving(Server) as port:
        yield f"http://127.0.0.1:{port}"


def test_a_row_reaches_the_version_and_the_answer_comes_back(server: str) -> None:
    answer = ask(address(server, MODEL, "v2", "header"), {"mean radius": 1.5})
    assert answer == {"row": {"mean radius": 1.5}, "version": "v2", "path": "/m/predict"}


def test_a_refused_row_is_one_sentence_with_the_servers_answer(server: str) -> None:
    with pytest.raises(ProblemError, match=r"no prediction: got 422: .*, allowed 200; correct the row"):
        ask(address(server, MODEL, None), {"bad": 1})


def test_the_curl_line_works_as_pasted(server: str) -> None:
    where = address(server, MODEL, "v1", "header")
    done = subprocess.run(where.curl({"it's": 1}), shell=True, capture_output=True, text=True, check=True)  # noqa: S602
    assert json.loads(done.stdout) == {"row": {"it's": 1}, "version": "v1", "path": "/m/predict"}
    assert shlex.split(where.curl({"a": 1}))[:3] == ["curl", "-sS", f"{server}/m/predict"]


def test_no_server_is_one_sentence() -> None:
    with pytest.raises(ProblemError, match=r"no answer: got .*, allowed a served model; run `modelway status`"):
        ask(Address("http://127.0.0.1:9/m/predict"), {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{nonsense", "--row: no row: got Expecting property name"),
        ("absent.json", "--row: no such file: got 'absent.json'"),
        ("-", "standard input: no row: got [1], allowed a JSON object"),
    ],
)
def test_a_row_that_is_none_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ProblemError) as raised:
        read_row(text, io.StringIO("[1]"))
    assert str(raised.value).startswith(sentence)


def test_rows_come_from_json_files_and_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "row.json"
    file.write_text('{"a": 1}')
    assert read_row('{"a": 1}', None) == read_row(str(file), None) == read_row("-", io.StringIO('{"a": 1}')) == {"a": 1}


def test_the_first_held_out_row_is_the_real_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "build_folder", lambda name, version: tmp_path / name / version)
    assert predictions.reference_row(MODEL) is None
    (tmp_path / "m/v2").mkdir(parents=True)
    (tmp_path / "m/v2/reference_predictions.json").write_text('{"rows": [{"a": 1}, {"a": 2}]}')
    assert predictions.reference_row(MODEL) == {"a": 1}


def test_pods_are_counted_by_the_labels_of_model_and_version() -> None:
    labels = {"app.kubernetes.io/name": "m", "app.kubernetes.io/version": "v1"}
    served = {"metadata": {"labels": labels}, "spec": {"replicas": 2}, "status": {"readyReplicas": 1}}
    other = {"metadata": {}, "spec": {}, "status": {}}
    assert pods_by_version({"items": [served, other]}) == {("m", "v1"): (1, 2)}


def settings(image: str, provider: str = "node") -> Settings:
    model = {"name": "breast-cancer", "versions": [{"name": "v1", "image": image, "weight": 100}]}
    return Settings.model_validate({"cluster": {"provider": provider}, "models": [model]})


def test_only_the_examples_images_are_made_by_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWAY_IMAGES_LOCK", str(tmp_path / "lock.json"))
    assert images.image_problems(settings("breast-cancer:v1")) == []
    (problem,) = images.unmade_problems(settings("breast-cancer:v1"), "node")
    assert problem.fix == "run `modelway up node`, which makes it"
    (problem,) = images.image_problems(settings("mine:v1"))
    assert "python -m pipeline package --name breast-cancer --version v1" in problem.fix
    assert len(images.image_problems(settings("breast-cancer:v1", "existing"))) == 1
    (tmp_path / "lock.json").write_text(json.dumps({"mine:v1": f"127.0.0.1:5000/mine@sha256:{'0' * 64}"}))
    assert images.image_problems(settings("mine:v1")) == []
    assert images.example_registry(settings(f"r/m@sha256:{'0' * 64}")) is None


def test_a_new_cluster_under_the_old_name_is_recognized(tmp_path: Path) -> None:
    file, uid = tmp_path / "cluster-uid", tmp_path / "uid"
    identity = ClusterIdentity(file, ["sh", "-c", f"cat {uid}"])
    assert identity.changed() is None
    uid.write_text("one")
    identity.record()
    assert identity.changed() is None
    uid.write_text("two")
    assert identity.changed() == "there is a new one in its place"
    uid.write_text("")
    assert identity.changed() is None
    identity.forget()
    assert not file.exists()


def test_docker_and_kind_are_asked_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert [problem.where for problem in machine.kind_problems("modelway")] == ["docker", "kind"]


def test_an_existing_cluster_needs_its_kubeconfig() -> None:
    given = {"cluster": {"provider": "existing", "kubeconfig": "/absent"}, "models": [MODEL.model_dump(by_alias=True)]}
    (problem,) = machine.existing_problems(Settings.model_validate(given))
    assert str(problem) == (
        "modelway:cluster.kubeconfig: no such file: got '/absent', allowed the path of a kubeconfig; correct the path."
    )
