"""Drift alerts on a real cluster: rows like those of training raise none, others do within the window."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from tests.cluster.stack import FULL, LONG, Stack

pytestmark = [*LONG, pytest.mark.timeout(1800)]

COUNT = 50_000 if FULL else 2_000
WORKERS = 8
WATCHED = 'model="watched"'
PSI = 0.25
WITHIN_SECONDS = 3600 + 7 * 60
"""What docs/model-quality.md states for the window of an hour."""
SECONDS = 240.0
"""For scrapes and for the next evaluation of the rules, a minute apart."""


@pytest.fixture(scope="module")
def url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the model `watched`, one version that promises not to drift; afterwards the stack is as it was."""
    quality = {"predictionDriftPsi": PSI, "featureDriftPsi": PSI, "missingFeaturePercent": 5}
    versions = [{"name": "v1", "image": stack.lock()["breast-cancer:v1"]}]
    model = {"name": "watched", "versions": versions, "quality": quality}
    found, _ = stack.up_with(model, tmp_path_factory.mktemp("watched") / "project")
    yield found
    stack.modelway("up", "node")


def rows(count: int, factor: float) -> list[dict[str, float]]:
    """Rows of the data set in a random order, every value times `factor`."""
    data = load_breast_cancer()
    drawn = np.random.default_rng(0).permutation(np.resize(np.arange(len(data.data)), count))
    names = [str(name) for name in data.feature_names]
    return [dict(zip(names, (data.data[number] * factor).tolist(), strict=True)) for number in drawn]


async def _send(url: str, sent: Sequence[dict[str, float]]) -> list[int]:
    pending, statuses = iter(sent), list[int]()

    async def work(client: httpx.AsyncClient) -> None:
        for row in pending:
            statuses.append((await client.post(url, json=row)).status_code)

    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        await asyncio.gather(*(work(client) for _ in range(WORKERS)))
    return statuses


def send(url: str, count: int, factor: float = 1.0) -> float:
    """One request per row, all answered; returns the requests per second."""
    began = time.monotonic()
    assert set(asyncio.run(_send(url, rows(count, factor)))) == {200}
    return count / (time.monotonic() - began)


def value(stack: Stack, query: str) -> float | None:
    """The single value of a query, None without any."""
    found = stack.prometheus(query)
    return float(found[0]["value"][1]) if found else None


def awaited(found: Callable[[], Any], seconds: float, what: str) -> float:
    """Seconds until something is so; fails when it is not in time."""
    began = time.monotonic()
    while not found():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:g} s"
        time.sleep(1)
    return time.monotonic() - began


def test_rows_like_those_of_training_raise_no_alert(stack: Stack, url: str, figure: Callable[[str], None]) -> None:
    rate = send(url, COUNT)
    counted = f"sum(model_version_bin:modelway_prediction_bin:increase1h{{{WATCHED}}})"
    # What a pod counted before its first scrape is in no increase, and a full ring looks at no more rows.
    awaited(lambda: (value(stack, counted) or 0) > 0.8 * COUNT, SECONDS, "the rows in the hour's rules")
    prediction = value(stack, f"max_over_time(model_version:modelway_prediction_drift_psi:1h{{{WATCHED}}}[1h])")
    feature = value(stack, f"max(max_over_time(model_version_feature:modelway_feature_drift_psi:1h{{{WATCHED}}}[1h]))")
    figure(
        f"{COUNT} unshifted requests, {rate:.0f} per second: largest PSI of the predictions {prediction:.4f}, of a "
        f"feature {feature:.4f}, allowed {PSI}"
    )
    assert prediction is not None
    assert feature is not None
    assert max(prediction, feature) < PSI
    # Not even pending, at no evaluation since the model is there.
    assert stack.prometheus(f"count_over_time(ALERTS{{{WATCHED}}}[1h])") == []


def test_rows_that_have_shifted_raise_the_alert_within_the_window(
    stack: Stack, url: str, figure: Callable[[str], None]
) -> None:
    send(url, COUNT // 2, factor=1.5)
    firing = f'ALERTS{{{WATCHED},alertname="ModelFeatureDrift",alertstate="firing"}}'
    taken = awaited(lambda: stack.prometheus(firing), WITHIN_SECONDS, "the alert")
    alerts = stack.prometheus(firing)
    figure(
        f"{COUNT // 2} shifted requests after them: ModelFeatureDrift of {len(alerts)} features fires {taken:.0f} s later"
    )
    assert {(alert["metric"]["version"], alert["metric"]["severity"]) for alert in alerts} == {("v1", "ticket")}
    assert stack.prometheus(f'ALERTS{{{WATCHED},alertname="ModelFeatureMissing"}}') == []
    (failures,) = stack.prometheus("sum(prometheus_rule_evaluation_failures_total)")
    assert failures["value"][1] == "0"
