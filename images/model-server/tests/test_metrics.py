import asyncio
import json
from typing import Any

import httpx
from modelway_server.admin import create_admin
from modelway_server.service import Phase, Service
from prometheus_client.parser import text_string_to_metric_families
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


def admin(service: Service, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        app = create_admin(service.metrics.registry, lambda: service.phase, service.keep_up)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.get(path)

    return asyncio.run(send())


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
