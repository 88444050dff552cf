import asyncio
import json
import threading
from typing import Any

import httpx
import numpy as np
import pytest
from modelway_server.admin import create_admin
from modelway_server.main import _keep_up
from modelway_server.metrics import CLIENTS
from modelway_server.runtimes import Output, Rows
from modelway_server.service import Phase, Service
from prometheus_client.parser import text_string_to_metric_families
from server_process import DEADLINE_SECONDS
from server_testing import NAMES, client_of, start

ROW = dict.fromkeys(NAMES, 1.0)
MINE = {"model": "sample", "version": "v1"}


def samples(service: Service) -> dict[str, float]:
    text = admin(service, "/metrics").text
    return {
        sample.name + json.dumps(dict(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> str:
    return name + json.dumps(dict(sorted((MINE | labels).items())))


async def get(service: Service, path: str) -> httpx.Response:
    app = create_admin(service.metrics.registry, lambda: service.phase, service.keep_up, service.hangs)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        return await client.get(path)


def admin(service: Service, path: str) -> httpx.Response:
    return asyncio.run(get(service, path))


def predict(service: Service, body: Any) -> None:
    async def send() -> None:
        async with client_of(service) as client:
            await client.post("/predict", json=body)
            await client.get("/docs")

    asyncio.run(send())


def test_every_request_counts_once_under_its_labels(service: Service) -> None:
    predict(service, ROW)
    predict(service, {"rows": [ROW, ROW | {"höhe": 9}]})
    predict(service, {})
    found = samples(service)
    assert found[key("modelway_requests_total", code="200")] == 2
    assert found[key("modelway_requests_total", code="422")] == 1
    assert found[key("modelway_requests_total", code="500")] == 0
    assert found[key("modelway_errors_total", kind="validation")] == 1
    assert found[key("modelway_errors_total", kind="internal")] == 0
    assert found[key("modelway_request_duration_seconds_count", code="200")] == 2
    assert found[key("modelway_predictions_total", prediction="benign")] == 2
    assert found[key("modelway_predictions_total", prediction="malignant")] == 0
    assert found[key("modelway_predictions_total", prediction="unsure")] == 1
    assert found[key("modelway_requests_in_flight")] == 0
    assert found[key("modelway_model_info", digest=service.model.digest)] == 1


def test_the_process_shows_its_memory_and_cpu(service: Service) -> None:
    service.describe_alone()
    found = samples(service)
    assert found["process_resident_memory_bytes{}"] > 1e6
    assert found["process_cpu_seconds_total{}"] > 0


def test_values_of_a_regression_are_no_labels(regression: Any) -> None:
    service = start(regression)
    predict(service, ROW)
    assert not any(name.startswith("modelway_predictions_total") for name in samples(service))


def test_readiness_follows_the_phase_and_health_does_not(service: Service) -> None:
    codes = {}
    for phase in Phase:
        service.phase = phase
        codes[phase.value] = admin(service, "/readyz").status_code, admin(service, "/healthz").status_code
    assert codes == {"starting": (503, 200), "serving": (200, 200), "draining": (503, 200)}


def test_health_fails_when_the_model_does_not_return(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, entered, beats = threading.Event(), threading.Event(), asyncio.Event()
    predict = service.model.predict

    def stuck(rows: Rows) -> Output:
        entered.set()
        gate.wait(DEADLINE_SECONDS)
        return predict(rows)

    async def scenario() -> None:
        asking = asyncio.create_task(queue.predict(np.zeros((1, 3), dtype=np.float32)))
        await asyncio.to_thread(entered.wait)
        codes.append((await health()).status_code)
        monkeypatch.setattr("modelway_server.service.HANG_SECONDS", 0.0)
        monkeypatch.setattr("modelway_server.service.HANG_TIMEOUTS", 0)
        codes.append((await health()).status_code)
        # A worker gives its parent no sign, and is replaced.
        keeping = asyncio.create_task(_keep_up(service, beats.set))
        await asyncio.sleep(0)
        assert not beats.is_set()
        gate.set()
        await asking
        codes.append((await health()).status_code)
        keeping.cancel()

    async def health() -> httpx.Response:
        return await get(service, "/healthz")

    codes: list[int] = []
    monkeypatch.setattr(service.model, "predict", stuck)
    queue = service._large
    asyncio.run(scenario())
    assert codes == [200, 503, 200]


def test_the_gateways_reason_is_counted_and_strangers_make_no_series(service: Service) -> None:
    async def send() -> None:
        async with client_of(service) as client:
            for reason in ("split", "split", "shadow", "split\x80", "x" * 100):
                await client.post("/predict", json=ROW, headers={"x-modelway-assignment": reason.encode("latin-1")})

    asyncio.run(send())
    found = {name: value for name, value in samples(service).items() if name.startswith("modelway_assigned") and value}
    assert found == {
        key("modelway_assigned_requests_total", assignment="split", code="200"): 2,
        key("modelway_assigned_requests_total", assignment="shadow", code="200"): 1,
        key("modelway_assigned_requests_total", assignment="none", code="200"): 2,
    }


def test_clients_are_counted_and_have_a_bound(service: Service) -> None:
    async def send() -> None:
        async with client_of(service) as client:
            for name in ("acme", "acme", *(f"client-{number}" for number in range(CLIENTS + 4)), "acme"):
                await client.post("/predict", json=ROW, headers={"x-modelway-client": name})
            await client.post("/predict", json=ROW)

    asyncio.run(send())
    found = {name: value for name, value in samples(service).items() if name.startswith("modelway_client_requests")}
    assert len(found) == CLIENTS + 1
    assert found[key("modelway_client_requests_total", client="acme")] == 3
    assert found[key("modelway_client_requests_total", client="client-0")] == 1
    assert found[key("modelway_client_requests_total", client="other")] == 5


def test_the_histogram_has_each_duration_in_its_bucket(service: Service) -> None:
    for seconds in (0.0005, 0.0006, 0.3, 99.0):
        service.metrics.request(200, seconds, None)
    found = samples(service)
    name = "modelway_request_duration_seconds"
    buckets = {
        bound: found[key(f"{name}_bucket", code="200", le=bound)]
        for bound in ("0.0005", "0.001", "0.25", "0.5", "+Inf")
    }
    assert buckets == {"0.0005": 1, "0.001": 2, "0.25": 2, "0.5": 3, "+Inf": 4}
    assert found[key(f"{name}_count", code="200")] == 4
    assert found[key(f"{name}_sum", code="200")] == 0.0005 + 0.0006 + 0.3 + 99.0
