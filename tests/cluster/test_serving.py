"""Predictions through the real gateway."""

import json
import subprocess
import time
from collections.abc import Callable

import httpx
import pytest

from tests.cluster.load import Load
from tests.cluster.outside import OutsideLoad
from tests.cluster.stack import FULL, Stack, assert_close, assert_serves

pytestmark = pytest.mark.cluster


def test_up_prints_the_urls_and_a_curl_line_that_works_as_pasted(stack: Stack) -> None:
    lines = stack.first_up.splitlines()
    for path in ("predict", "v1/predict", "v2/predict"):
        assert any(f"{stack.gateway}/breast-cancer/{path}" in line for line in lines)
    (curl,) = [line.strip() for line in lines if line.strip().startswith("curl ")]
    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True).stdout
    assert '"prediction"' in answer


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("how", ["path", "header"])
def test_200_held_out_rows_equal_the_reference(stack: Stack, version: str, how: str) -> None:
    reference = stack.reference(version)
    url = f"{stack.gateway}/breast-cancer/{version}/predict"
    headers = {}
    if how == "header":
        url, headers = f"{stack.gateway}/breast-cancer/predict", {"x-model-version": version}
    assert len(reference["rows"]) == 200
    assert_serves(reference, url, headers, version=version)


def test_a_batch_of_rows_equals_the_single_rows(stack: Stack) -> None:
    reference = stack.reference("v1")
    url = f"{stack.gateway}/breast-cancer/v1/predict"
    answer = httpx.post(url, json={"rows": reference["rows"]}, trust_env=False).raise_for_status().json()
    assert answer["prediction"] == reference["prediction"]


def test_the_weighted_route_is_within_a_point_and_a_half_of_90_to_10(stack: Stack) -> None:
    row = stack.reference("v1")["rows"][0]
    count = 5000
    with httpx.Client(trust_env=False) as client:
        versions = [
            client.post(f"{stack.gateway}/breast-cancer/predict", json=row).headers["x-modelway-version"]
            for _ in range(count)
        ]
    assert set(versions) == {"v1", "v2"}
    assert abs(100 * versions.count("v2") / count - 10) <= 1.5


@pytest.mark.parametrize(
    ("path", "version", "headers"),
    [
        ("v1/v2/models/breast-cancer/infer", "v1", {}),
        ("v2/v2/models/breast-cancer/infer", "v2", {}),
        ("v2/models/breast-cancer/infer", "v2", {"x-model-version": "v2"}),
    ],
)
def test_tensors_give_the_predictions_of_the_reference(
    stack: Stack, path: str, version: str, headers: dict[str, str]
) -> None:
    reference = stack.reference(version)
    rows = [list(row.values()) for row in reference["rows"]]
    tensor = {"name": "features", "datatype": "FP32", "shape": [len(rows), len(rows[0])], "data": rows}
    answer = httpx.post(
        f"{stack.gateway}/breast-cancer/{path}", json={"inputs": [tensor]}, headers=headers, trust_env=False
    )
    assert answer.status_code == 200, answer.text
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    assert outputs["prediction"] == reference["prediction"]
    assert_close(outputs["probability"], [value for row in reference["probability"] for value in row])


@pytest.mark.parametrize("path", ["v3/predict", "v2/models/iris/infer", "metrics", "healthz", "v1/metrics", "v1/docs"])
def test_nothing_but_predict_is_routed(stack: Stack, path: str) -> None:
    assert httpx.post(f"{stack.gateway}/breast-cancer/{path}", json={}, trust_env=False).status_code == 404


def test_a_deleted_pod_is_replaced_while_the_others_serve(stack: Stack, figure: Callable[[str], None]) -> None:
    row = stack.reference("v1")["rows"][0]
    selector = "app.kubernetes.io/name=breast-cancer,app.kubernetes.io/version=v1"
    with Load(f"{stack.gateway}/breast-cancer/v1/predict", row, rate=50) as outcome:
        name = stack.kubectl("get", "pods", "-n", "modelway-models", "-l", selector, "-o", "name").split()[0]
        stack.kubectl("delete", "-n", "modelway-models", name, "--wait")
        stack.kubectl("rollout", "status", "-n", "modelway-models", "deployment/breast-cancer-v1", "--timeout=120s")
    figure(f"pod deleted under load: {outcome.sent} requests, answers {dict(outcome.answers)}")
    assert outcome.failures == []


ROLLOUTS, ROLLOUT_SECONDS, RATE = (20, 60, 200) if FULL else (3, 30, 200)


@pytest.mark.timeout(600 + 2 * ROLLOUTS * ROLLOUT_SECONDS)
def test_rollouts_under_load_lose_no_request(stack: Stack, figure: Callable[[str], None]) -> None:
    """Requests from a network namespace of their own, none repeated: 200 a second, and on kept connections, and such
    that take 5 s. Failed is whatever is not answered with 200 within 30 s."""
    row = stack.reference("v1")["rows"][0]
    lock = stack.lock()
    reports = []
    for number in range(ROLLOUTS):
        image = lock["breast-cancer:v2" if number % 2 == 0 else "breast-cancer:v1"]
        changed = stack.state / "changed.lock.json"
        changed.write_text(json.dumps({**lock, "breast-cancer:v1": image}))
        started = time.monotonic()
        with OutsideLoad(stack, "/breast-cancer/v1/predict", row, RATE) as running:
            stack.modelway("up", "node", MODELWAY_IMAGES_LOCK=str(changed))
            time.sleep(max(0.0, started + ROLLOUT_SECONDS - time.monotonic()))
        reports.append(running.report)
        figure(f"rollout {number + 1} of {ROLLOUTS}: {running.report.figure()}")
    stack.modelway("up", "node")
    sent = sum(report.sent for report in reports)
    figure(f"{ROLLOUTS} rollouts under load: {sent} requests, {sum(len(each.failures) for each in reports)} failed")
    assert [report.failures for report in reports] == [[]] * ROLLOUTS
    assert sent >= ROLLOUTS * ROLLOUT_SECONDS * RATE
