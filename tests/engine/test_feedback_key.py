"""The key that signs prediction ids, through the real engine."""

import base64

import pytest
from modelway.serving.model_service import feedback_key

from tests.engine.apiserver import Api
from tests.engine.conftest import Stack
from tests.engine.test_plugin_kubernetes import options

pytestmark = pytest.mark.engine


def test_the_key_is_made_once_and_never_in_plain_text(stack: Stack, api: Api, namespace: str) -> None:
    def program() -> None:
        feedback_key("iris", namespace, options(api))

    def key() -> str:
        return api.value("secret", "iris-feedback-key", ".data.keys", namespace)

    assert stack.up(program)["create"] == 3
    first = key()
    line = base64.b64decode(first).decode()
    assert len(base64.b64decode(line)) == 32
    assert stack.preview(program) == {"same": 3}
    assert stack.up(program) == {"same": 3}
    stack.refresh(program)
    assert stack.up(program) == {"same": 3}
    assert key() == first
    assert [text for text in (first, line) if text in stack.stored()] == []
