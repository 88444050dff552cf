"""The schema that other languages see."""

import json
import warnings
from typing import Any

import modelway
import pytest
from pulumi.provider.experimental.component import ComponentProvider

from tests.unit.schemas import undescribed

with warnings.catch_warnings(category=DeprecationWarning, action="ignore"):
    # The clouds' SDKs warn of their own modules when they are imported, and tests take warnings for errors.
    COMPONENTS = [getattr(modelway, name) for name in modelway.COMPONENTS]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return dict(json.loads(ComponentProvider(COMPONENTS, "modelway", version=modelway.__version__).schema))


def test_every_property_is_described(schema: dict[str, Any]) -> None:
    assert undescribed(schema) == []


def test_every_token_is_in_the_index_module(schema: dict[str, Any]) -> None:
    assert sorted(schema["resources"]) == [f"modelway:index:{name}" for name in sorted(modelway.COMPONENTS)]


def test_all_names_are_importable_from_the_package() -> None:
    assert [name for name in modelway.__all__ if not isinstance(getattr(modelway, name), type)] == []
