"""What `modelway predict` sends besides the row."""

from typing import Any

import pytest

from infra.asking import credentials_of
from infra.settings import load
from tools.problem import ProblemError

JWT = {"issuer": "https://login.example.com/", "audiences": ["models"], "jwksUrl": "https://login.example.com/keys"}


def credentials(access: str, environment: dict[str, str], **gateway: Any) -> dict[str, str]:
    settings = load(
        {
            "modelway:cluster": {"provider": "node"},
            "modelway:gateway": gateway,
            "modelway:models": [
                {"name": "iris", "access": access, "versions": [{"name": "v1", "image": "iris:v1"}]},
                {"name": "open", "versions": [{"name": "v1", "image": "open:v1"}]},
            ],
        },
        "x",
    )
    return credentials_of(settings, settings.models[0], environment)


@pytest.mark.parametrize(
    ("gateway", "expected"),
    [
        ({"auth": {"method": "api-key"}}, {"x-api-key": "secret"}),
        ({"auth": {"method": "api-key", "header": "X-Model-Key"}}, {"x-model-key": "secret"}),
        ({"auth": {"method": "jwt", "jwt": JWT}}, {"authorization": "Bearer secret"}),
    ],
)
def test_a_keyed_model_gets_the_key_of_the_environment(gateway: dict[str, Any], expected: dict[str, str]) -> None:
    assert credentials("keyed", {"MODELWAY_API_KEY": "secret"}, **gateway) == expected


@pytest.mark.parametrize(
    ("auth", "sentence"),
    [
        ({"method": "api-key"}, "got nothing, allowed a key; export one of `modelway keys add`."),
        ({"method": "jwt", "jwt": JWT}, "got nothing, allowed a token; export one of the issuer's."),
    ],
)
def test_a_keyed_model_without_a_key_is_a_sentence(auth: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ProblemError) as caught:
        credentials("keyed", {}, auth=auth)
    assert str(caught.value) == f"MODELWAY_API_KEY: missing for keyed model iris: {sentence}"


def test_a_public_model_gets_no_key() -> None:
    assert credentials("public", {"MODELWAY_API_KEY": "secret"}) == {}


def test_an_internal_model_is_not_asked_from_here() -> None:
    with pytest.raises(ProblemError, match="only pods of the cluster reach it: got internal"):
        credentials("internal", {})
