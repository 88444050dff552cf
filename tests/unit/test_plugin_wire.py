"""Values, diffs and errors as the stand-in plugins exchange them with the engine."""

from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from tools.plugins import wire
from tools.plugins.wire import UNKNOWN, Secret

KIND = pb.PropertyDiff.Kind


class Aborted(Exception):  # noqa: N818
    """The call ended with an error status."""


class Context:
    """A call's context that remembers how the call ended."""

    trailing: tuple[tuple[str, bytes], ...] = ()

    def set_trailing_metadata(self, metadata: tuple[tuple[str, bytes], ...]) -> None:
        self.trailing = metadata

    def abort(self, code: grpc.StatusCode, reason: str) -> None:
        assert code is grpc.StatusCode.UNKNOWN
        raise Aborted(reason)


def test_values_survive_the_wire_and_whole_numbers_are_integers() -> None:
    value = {"a": [1, 2.5, None, True, {"b": Secret({"c": [Secret("x")]})}], "d": "text", "e": UNKNOWN}
    decoded = wire.decode(wire.encode(value))
    assert decoded == value
    assert type(decoded["a"][0]) is int


def test_an_asset_is_refused() -> None:
    asset = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17"}
    with pytest.raises(wire.Refusal, match="assets, archives"):
        wire.decode(wire.encode({"file": asset}))


@pytest.mark.parametrize(
    ("outputs", "inputs", "marked"),
    [
        ({"a": 1, "b": 2}, {"a": Secret(1)}, {"a": Secret(1), "b": 2}),
        ([{"v": "x"}, {"v": "y"}], [{"v": Secret("x")}, {"v": "y"}], [{"v": Secret("x")}, {"v": "y"}]),
        ([1, 2, 3], [Secret(1)], Secret([1, 2, 3])),
        ({"a": {"b": 1}}, Secret({}), Secret({"a": {"b": 1}})),
        ({"a": [1]}, {"a": [1]}, {"a": [1]}),
    ],
)
def test_what_is_secret_in_the_inputs_is_secret_in_the_outputs(outputs: Any, inputs: Any, marked: Any) -> None:
    assert wire.mark(outputs, inputs) == marked


def test_no_secret_text_is_left_in_an_error() -> None:
    values = {"env": [Secret({"deep": ["token-1234", 7]})], "plain": "open"}
    assert wire.redact("token-1234 open 7 token-1234", values) == "[secret] open 7 [secret]"


def test_changes_are_told_by_property_path() -> None:
    old = {"spec": {"replicas": 1, "gone": 1, "list": [1, 2]}, "metadata": {"labels": {"a/b": "1"}}, "none": None}
    new = {"spec": {"replicas": 2, "list": [1, 3, 4], "more": {"x": 1}}, "metadata": {"labels": {"a/b": "2"}}}
    assert list(wire.compare(old, new)) == [
        ('metadata.labels["a/b"]', "UPDATE"),
        ("spec.gone", "DELETE"),
        ("spec.list[1]", "UPDATE"),
        ("spec.list[2]", "ADD"),
        ("spec.more", "ADD"),
        ("spec.replicas", "UPDATE"),
    ]


def test_a_change_at_or_below_a_rule_replaces_and_its_neighbour_does_not() -> None:
    changes = [("data", "ADD"), ("data.key", "UPDATE"), ('data["a/b"]', "DELETE"), ("database", "UPDATE")]
    response = wire.diff_response(changes, ("data",), delete_first=True)
    assert list(response.replaces) == ["data", "data.key", 'data["a/b"]']
    assert {path: KIND.Name(item.kind) for path, item in response.detailedDiff.items()} == {
        "data": "ADD_REPLACE",
        "data.key": "UPDATE_REPLACE",
        'data["a/b"]': "DELETE_REPLACE",
        "database": "UPDATE",
    }
    assert response.deleteBeforeReplace
    assert not wire.diff_response([("database", "UPDATE")], ("data",), delete_first=True).deleteBeforeReplace


def test_live_values_are_cut_to_the_shape_of_the_inputs() -> None:
    live = {"a": 1, "b": {"c": 2, "default": 3}, "list": [{"x": 1, "y": 2}, {"x": 3}], "other": 1}
    old = {"a": 0, "b": {"c": 0, "gone": 1, "empty": {}}, "list": [{"x": 0}], "none": None}
    assert wire.prune(live, old) == {"a": 1, "b": {"c": 2, "empty": {}}, "list": [{"x": 1}, {"x": 3}], "none": None}


class Faulty:
    """Raises what it is given."""

    @wire.answers
    def method(self, request: Any, context: Any) -> Any:  # noqa: ARG002 - the protocol's signature
        raise request.raises


class Request:
    """A request that holds a secret."""

    def __init__(self, raises: Exception) -> None:
        self.raises = raises

    def ListFields(self) -> list[tuple[str, struct_pb2.Struct]]:  # noqa: N802
        return [("properties", wire.encode({"token": Secret("hidden-1234")}))]


def test_a_refusal_reaches_the_engine_without_the_secrets_of_its_request() -> None:
    with pytest.raises(Aborted, match=r"^bad value \[secret\]$"):
        Faulty().method(Request(wire.Refusal("bad value hidden-1234")), Context())


def test_an_unfinished_resource_is_handed_over_with_its_state() -> None:
    context = Context()
    problem = wire.Unfinished("not ready: hidden-1234", "ns/name", {"a": 1}, {"b": Secret(2)})
    with pytest.raises(Aborted, match=r"not ready: \[secret\]"):
        Faulty().method(Request(problem), context)
    ((key, raw),) = context.trailing
    assert key == "grpc-status-details-bin"
    detail = pb.ErrorResourceInitFailed()
    assert wire.status_pb2.Status.FromString(raw).details[0].Unpack(detail)
    assert (detail.id, list(detail.reasons)) == ("ns/name", ["not ready: [secret]"])
    assert wire.decode(detail.properties) == {"a": 1}
    assert wire.decode(detail.inputs) == {"b": Secret(2)}


def test_a_fault_tells_its_place_and_not_its_text() -> None:
    with pytest.raises(Aborted, match=r"^fault of the stand-in plugin: KeyError at test_plugin_wire\.py:[0-9]+$"):
        Faulty().method(Request(KeyError("anything at all")), Context())
