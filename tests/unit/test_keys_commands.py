"""The commands `modelway keys …`: what they print where, and stacks that know no keys."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from infra import cli, cli_common, cli_keys, keys, machine
from infra.config_schema import Access, Settings
from infra.deploy import Job
from infra.edge import keys_are_needed
from tests.unit.keys_testing import NOW, Cluster, fake_cluster, refusal


def job(gateway: Mapping[str, Any]) -> Job:
    settings = Settings.model_validate(
        {
            "cluster": {"provider": "node"},
            "gateway": gateway,
            "models": [{"name": "m", "versions": [{"name": "v1", "image": "m:v1"}]}],
        }
    )
    return Job(SimpleNamespace(name="shop"), settings, Console(quiet=True))  # type: ignore[arg-type]


KEYED = {"auth": {"method": "api-key"}}


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = fake_cluster(tmp_path)
    monkeypatch.setattr(machine, "cluster_gone", lambda _: None)
    monkeypatch.setattr(machine, "asleep", lambda _: False)
    monkeypatch.setattr(machine, "kubectl", lambda _: cluster.store.kubectl)
    monkeypatch.setattr(cli_common, "job_of", lambda _: job(KEYED))
    monkeypatch.setattr(cli_keys, "job_of", lambda _: job(KEYED))
    return cluster


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(
    ("gateway", "function", "answer", "sentence"),
    [
        ({}, None, None, "modelway:gateway.auth: the gateway of stack shop asks nobody for a key: got no auth"),
        (
            {"auth": {"method": "jwt", "jwt": {"issuer": "https://i", "audiences": ["a"], "jwksUrl": "https://i/k"}}},
            None,
            None,
            "modelway:gateway.auth.method: the gateway of stack shop asks for tokens, not keys: got jwt, allowed "
            "api-key",
        ),
        (KEYED, "cluster_gone", "no node was started", "stack shop: it has no cluster: got no node was started"),
        (KEYED, "asleep", True, "stack shop: the cluster does not answer: got a stopped node"),
        (KEYED, "kubectl", [], "kubectl: this program is missing"),
    ],
)
def test_a_stack_without_keys_is_one_sentence(
    gateway: Mapping[str, Any], function: str | None, answer: Any, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if function:
        monkeypatch.setattr(machine, function, lambda _: answer)
    assert refusal(lambda: keys.store_of(job(gateway))).startswith(sentence)


def test_the_commands_print_the_key_once_and_alone_on_standard_output(ready: Cluster) -> None:
    added = CliRunner().invoke(cli.app, ["keys", "add", "shop", "acme"])
    assert (added.exit_code, added.stdout) == (0, ready.held["acme.1"] + "\n")
    rotated = CliRunner().invoke(cli.app, ["keys", "rotate", "acme"])
    assert (rotated.exit_code, rotated.stdout) == (0, ready.held["acme.2"] + "\n")
    assert "curl -H 'x-api-key: …'" in added.stderr
    assert "modelway keys revoke shop acme --old" in rotated.stderr
    listed = CliRunner().invoke(cli.app, ["keys", "list"])
    revoked = CliRunner().invoke(cli.app, ["keys", "revoke", "acme", "--old"])
    assert revoked.exit_code == 0
    assert listed.stdout.splitlines()[1].split()[:2] == ["acme", "2"]
    told = added.stderr + rotated.stderr + listed.output + revoked.output
    assert [key for key in (added.stdout, rotated.stdout) if key[3:11] in told or key.strip()[-4:] in told] == []


def test_list_gives_programs_clients_and_times(ready: Cluster) -> None:
    keys.add(ready.store, "beta", NOW)
    keys.add(ready.store, "acme", NOW)
    keys.rotate(ready.store, "acme", NOW + timedelta(days=3))
    printed = CliRunner().invoke(cli.app, ["keys", "list", "--json"]).stdout
    assert json.loads(printed) == [
        {
            "client": "acme",
            "keys": [{"created": "2026-03-01T12:00:00+00:00"}, {"created": "2026-03-04T12:00:00+00:00"}],
        },
        {"client": "beta", "keys": [{"created": "2026-03-01T12:00:00+00:00"}]},
    ]


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("command", ["add", "rotate", "revoke"])
def test_a_third_word_is_a_usage_error(command: str) -> None:
    assert CliRunner().invoke(cli.app, ["keys", command, "shop", "acme", "beta"]).exit_code == 2


def test_the_end_of_a_stack_says_whose_keys_go_with_it(ready: Cluster) -> None:
    assert keys.lost_with(job(KEYED)) == ""
    keys.add(ready.store, "acme", NOW)
    keys.rotate(ready.store, "acme", NOW)
    assert keys.lost_with(job(KEYED)).startswith("1 client loses its keys with this stack")
    keys.add(ready.store, "beta", NOW)
    assert keys.lost_with(job(KEYED)).startswith("2 clients lose their keys with this stack")
    assert keys.lost_with(job({})) == ""


def test_a_stack_keeps_its_keys_while_no_model_asks_for_them() -> None:
    assert all(model.access is not Access.KEYED for model in job(KEYED).settings.models)
    assert keys_are_needed(job(KEYED).settings)
    assert not keys_are_needed(job({}).settings)
