"""API keys: their form, their life cycle, what two people at once do, and where a key never appears."""

import base64
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pulumi
import pytest
from modelway.gateway import api_keys

from infra import keys
from infra.keys import Key
from tests.unit.keys_testing import NOW, Cluster, fake_cluster, refusal
from tools.paths import PROJECT


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return fake_cluster(tmp_path)


def test_the_secret_is_made_without_a_key_that_a_request_can_carry() -> None:
    manifest = api_keys.api_keys_manifest("modelway-models")
    assert {name: base64.b64decode(value) for name, value in manifest["data"].items()} == {"nobody.0": b"\n"}
    assert manifest["metadata"]["namespace"] == "modelway-models"
    assert "annotations" not in manifest["metadata"]


def test_pulumi_leaves_the_secret_alone_once_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, pulumi.ResourceOptions] = {}
    monkeypatch.setattr(api_keys, "register", lambda name, _, opts: seen.update({name: opts}))
    api_keys.api_keys_secret("modelway-models", pulumi.ResourceOptions(protect=True))
    (options,) = seen.values()
    assert options.protect
    assert sorted(options.ignore_changes or []) == ["data", "metadata.labels"]


@pytest.mark.parametrize("number", [0, 1, 2**256 - 1, 2**255 + 12345])
def test_a_key_holds_all_256_bits(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(keys.secrets, "randbits", lambda bits: asked.append(bits) or number)
    key = keys.new_key()
    assert asked == [256]
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    value = 0
    for digit in key[3:-6]:
        value = value * 62 + digits.index(digit)
    assert value == number
    assert re.fullmatch("mw_[0-9A-Za-z]{49}", key)


def test_the_checksum_finds_every_single_wrong_character() -> None:
    key = keys.new_key()
    assert keys.is_key(key)
    wrong = [
        key[:at] + other + key[at + 1 :]
        for at in range(3, len(key))
        for other in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        if other != key[at]
    ]
    assert len(wrong) == 49 * 61
    assert [text for text in wrong if keys.is_key(text)] == []
    assert not keys.is_key(key + "0")
    assert not keys.is_key(key[:-1])


def test_keys_differ() -> None:
    assert len({keys.new_key() for _ in range(1000)}) == 1000


def test_add_writes_the_key_that_it_returns(cluster: Cluster) -> None:
    key = keys.add(cluster.store, "acme", NOW)
    assert keys.is_key(key)
    assert cluster.held == {"nobody.0": "\n", "acme.1": key}
    assert cluster.state["annotations"] == {"key-1.modelway.dev/acme": "2026-03-01T12:00:00Z"}


def test_a_key_reaches_kubectl_by_standard_input_only(cluster: Cluster) -> None:
    made = [keys.add(cluster.store, "acme", NOW), keys.rotate(cluster.store, "acme", NOW)]
    keys.revoke(cluster.store, "acme", old=True)
    secrets = [form for key in made for form in (key, base64.b64encode(key.encode()).decode())]
    assert [call for call, _ in cluster.calls for secret in secrets if any(secret in word for word in call)] == []
    assert sum(secret in stdin for _, stdin in cluster.calls for secret in secrets) == 2
    assert all("--output=name" in call or call[1] == "get" for call, _ in cluster.calls)


def test_a_look_asks_for_names_and_times_only(cluster: Cluster) -> None:
    cluster.store.look()
    ((call, _),) = cluster.calls
    (template,) = [word for word in call if word.startswith("--output=go-template=")]
    assert "range $name, $_ := .data" in template
    assert template.count(".data") == 1


def test_a_client_that_has_a_key_is_not_added(cluster: Cluster) -> None:
    key = keys.add(cluster.store, "acme", NOW)
    sentence = refusal(lambda: keys.add(cluster.store, "acme", NOW))
    assert sentence == (
        "client acme: the client has a key: got 1 key, allowed none; run `modelway keys rotate shop acme` for another "
        "key."
    )
    assert cluster.held["acme.1"] == key


def test_a_rotation_keeps_the_first_key_until_the_old_one_is_revoked(cluster: Cluster) -> None:
    expected = {"acme.1": keys.add(cluster.store, "acme", NOW)}
    for turn, slot in enumerate((2, 1, 2), start=1):
        expected[f"acme.{slot}"] = keys.rotate(cluster.store, "acme", NOW + timedelta(days=turn))
        assert cluster.held == {"nobody.0": "\n", **expected}
        assert "the last rotation is not finished: got 2 keys" in refusal(
            lambda: keys.rotate(cluster.store, "acme", NOW)
        )
        assert keys.revoke(cluster.store, "acme", old=True) == 1
        del expected[f"acme.{3 - slot}"]
        assert cluster.held == {"nobody.0": "\n", **expected}
        assert list(cluster.state["annotations"]) == [f"key-{slot}.modelway.dev/acme"]


def test_the_new_key_counts_as_new_though_a_clock_is_behind(cluster: Cluster) -> None:
    keys.add(cluster.store, "acme", NOW)
    new = keys.rotate(cluster.store, "acme", NOW - timedelta(hours=5))
    keys.revoke(cluster.store, "acme", old=True)
    assert cluster.held == {"nobody.0": "\n", "acme.2": new}


def test_revoke_removes_every_key_of_the_client_and_of_no_other(cluster: Cluster) -> None:
    other = keys.add(cluster.store, "acme-eu", NOW)
    keys.add(cluster.store, "acme", NOW)
    keys.rotate(cluster.store, "acme", NOW)
    assert keys.revoke(cluster.store, "acme") == 2
    assert cluster.held == {"nobody.0": "\n", "acme-eu.1": other}
    assert list(cluster.state["annotations"]) == ["key-1.modelway.dev/acme-eu"]


@pytest.mark.parametrize("old", [False, True])
def test_an_unknown_client_is_refused(cluster: Cluster, old: bool) -> None:
    for run in (
        lambda: keys.revoke(cluster.store, "acme", old=old),
        lambda: keys.rotate(cluster.store, "acme", NOW),
        lambda: keys.revoke(cluster.store, "nobody", old=old),
    ):
        assert ": no such client: got no key, allowed 1 or 2 keys; see `modelway keys list shop`" in refusal(run)


def test_an_only_key_is_not_the_old_one(cluster: Cluster) -> None:
    keys.add(cluster.store, "acme", NOW)
    assert "no rotation is under way: got 1 key" in refusal(lambda: keys.revoke(cluster.store, "acme", old=True))
    assert "acme.1" in cluster.held


@pytest.mark.parametrize("name", ["", "Acme", "acme.1", "acme_1", "-acme", "acme-", "1acme", "a" * 64, "a b", "../x"])
def test_a_name_that_is_no_dns_label_is_refused_before_the_cluster_is_asked(cluster: Cluster, name: str) -> None:
    for run in (
        lambda: keys.add(cluster.store, name, NOW),
        lambda: keys.rotate(cluster.store, name, NOW),
        lambda: keys.revoke(cluster.store, name),
    ):
        assert refusal(run).startswith(f"CLIENT: not a DNS label: got {name!r}, allowed lower-case letters")
    assert cluster.calls == []


def test_the_longest_name_is_kept_whole(cluster: Cluster) -> None:
    name = "a" * 63
    keys.add(cluster.store, name, NOW)
    keys.rotate(cluster.store, name, NOW)
    assert [key.entry for key in cluster.store.look().of(name)] == [f"{name}.1", f"{name}.2"]
    assert all(len(part) <= 63 for each in cluster.state["annotations"] for part in each.split("/")[1:])


def test_a_write_that_lost_is_decided_anew(cluster: Cluster) -> None:
    cluster.set(rivals=["beta.1", "gamma.1"])
    key = keys.add(cluster.store, "acme", NOW)
    assert cluster.held == {"nobody.0": "\n", "beta.1": "rival", "gamma.1": "rival", "acme.1": key}


def test_two_who_add_the_same_client_do_not_both_win(cluster: Cluster) -> None:
    cluster.set(rivals=["acme.1"])
    assert "client acme: the client has a key" in refusal(lambda: keys.add(cluster.store, "acme", NOW))
    assert cluster.held["acme.1"] == "rival"


def test_who_always_loses_gets_a_sentence(cluster: Cluster) -> None:
    cluster.set(rivals=[f"c{number}.1" for number in range(keys.WRITES)])
    sentence = refusal(lambda: keys.add(cluster.store, "acme", NOW))
    assert sentence.startswith("modelway-api-keys: others change the keys all the time: got 20 lost writes")
    assert "acme.1" not in cluster.held


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            'Error from server (NotFound): secrets "modelway-api-keys" not found',
            "stack shop: it has no place for keys: got no such Secret, allowed a deployed stack; "
            "run `modelway up shop`.",
        ),
        (
            "E1123 memcache.go:265\nThe connection to the server 127.0.0.1:1 was refused - did you specify the right "
            "host or port?",
            "stack shop: the cluster does not answer: got The connection to the server 127.0.0.1:1 was refused - did "
            "you specify the right host or port, allowed kubectl's access to the Secret; check the cluster and your "
            "access.",
        ),
        (
            'Error from server (Forbidden): secrets "modelway-api-keys" is forbidden',
            'stack shop: the cluster refused: got Error from server (Forbidden): secrets "modelway-api-keys" is '
            "forbidden, allowed kubectl's access to the Secret; check the cluster and your access.",
        ),
    ],
)
def test_every_failure_of_kubectl_is_one_sentence(cluster: Cluster, error: str, sentence: str) -> None:
    cluster.set(error=error)
    for run in (
        cluster.store.look,
        lambda: keys.add(cluster.store, "acme", NOW),
        lambda: cluster.store.write("7", {Key("acme", 1, NOW): "mw_x"}),
    ):
        assert refusal(run) == sentence


def test_what_other_programs_wrote_is_listed_and_can_be_revoked(cluster: Cluster) -> None:
    cluster.set(
        data={"acme": "eA==", "beta.1": "eQ==", "beta.2": "eg==", "nobody.0": "Cg=="},
        annotations={"note": "a\ndata evil.1", "key-1.modelway.dev/beta": "soon", "key-2.modelway.dev/beta": "soon"},
    )
    ring = cluster.store.look()
    assert [(key.client, key.slot, key.created) for key in ring.keys] == [
        ("acme", 0, None),
        ("beta", 1, None),
        ("beta", 2, None),
    ]
    assert "nobody knows which key is the old one" in refusal(lambda: keys.revoke(cluster.store, "beta", old=True))
    key = keys.rotate(cluster.store, "acme", NOW)
    assert cluster.held["acme.1"] == key
    assert keys.revoke(cluster.store, "acme", old=True) == 1
    assert sorted(cluster.held) == ["acme.1", "beta.1", "beta.2", "nobody.0"]


def test_the_document_says_what_a_key_looks_like() -> None:
    text = (PROJECT / "docs/api-keys.md").read_text()
    (pattern,) = re.findall(r"`(mw_\[0-9A-Za-z\]\{\d+\})`", text)
    key = keys.new_key()
    assert re.fullmatch(pattern, key)
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    room: dict[str, Any] = {}
    exec(program, room)  # noqa: S102
    assert [room["is_key"](text) for text in (key, key[:-1] + ("0" if key[-1] != "0" else "1"))] == [True, False]
