"""Subjects: who counts as one, and that events never exceed trials."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from modelway_server.errors import ApiError
from modelway_server.service import Service
from modelway_server.subjects import ERROR, PREDICTED, SLOW, TRIAL, SubjectMemory
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from server_process import running
from server_testing import NAMES, client_of, start

ROW = dict(zip(NAMES, (2.0, 0.0, 0.0), strict=True))
OTHER_ROW = dict(zip(NAMES, (0.0, 2.0, 0.0), strict=True))
SPLIT = {"x-modelway-assignment": "split"}
LABELS = 'model="sample",version="v1"'


def counting(artifact: Path, **settings: str) -> Service:
    return start(artifact, MODELWAY_SUBJECTS="true", **settings)


def send(service: Service, *requests: tuple[Mapping[str, str], Any]) -> None:
    async def play() -> None:
        async with client_of(service) as client:
            for headers, body in requests:
                await client.post("/predict", json=body, headers=dict(headers))

    asyncio.run(play())


def counts(service: Service, name: str) -> dict[tuple[str, ...], float]:
    """Samples of a counter by their labels other than model and version."""
    service.keep_up()
    return {
        tuple(value for key, value in sample.labels.items() if key not in ("model", "version")): sample.value
        for family in text_string_to_metric_families(generate_latest(service.metrics.registry).decode())
        for sample in family.samples
        if sample.name == name
    }


def count(service: Service, name: str) -> float:
    (value,) = counts(service, name).values()
    return value


def test_a_user_is_one_trial_and_a_request_without_a_key_is_one_as_well(classification: Path) -> None:
    service = counting(classification, MODELWAY_SUBJECT_HEADER="X-User-Id")
    users = [(SPLIT | {"x-user-id": name}, ROW) for name in ("ann", "bob", "ann", "ann")]
    send(service, *users, (SPLIT, ROW), (SPLIT, ROW))
    assert count(service, "modelway_subjects_total") == 4


def test_without_a_header_or_cookie_each_request_is_a_subject(classification: Path) -> None:
    service = counting(classification)
    send(service, *[(SPLIT | {"x-user-id": "ann"}, ROW)] * 3)
    assert count(service, "modelway_subjects_total") == 3


@pytest.mark.parametrize(
    ("cookie", "subjects"),
    [("uid=ann", 1), ("theme=dark; uid=ann", 1), ('uid="ann"; a=b', 1), ("uid=", 2), ("xuid=ann", 2), ("uid", 2)],
)
def test_the_key_of_a_cookie_is_found_among_others(classification: Path, cookie: str, subjects: int) -> None:
    service = counting(classification, MODELWAY_SUBJECT_COOKIE="uid")
    send(service, *[(SPLIT | {"cookie": cookie}, ROW)] * 2)
    assert count(service, "modelway_subjects_total") == subjects


def test_only_what_the_split_brought_counts(classification: Path) -> None:
    service = counting(classification)
    send(service, *(({"x-modelway-assignment": reason}, ROW) for reason in ("pinned", "shadow", "none", "SPLIT")))
    send(service, ({}, ROW))
    assert count(service, "modelway_subjects_total") == 0
    assert set(counts(service, "modelway_subject_predictions_total").values()) == {0}


def test_an_error_counts_once_per_user_whenever_it_comes(classification: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = counting(classification, MODELWAY_SUBJECT_HEADER="x-user-id")
    ann, bob = SPLIT | {"x-user-id": "ann"}, SPLIT | {"x-user-id": "bob"}
    # A client's own mistake is no error of the version.
    send(service, (ann, ROW), (bob, ROW), (bob, {}))
    assert count(service, "modelway_subject_errors_total") == 0

    async def fail(*_: object) -> None:
        raise ApiError(503, "no")

    monkeypatch.setattr(service, "predict", fail)
    send(service, (ann, ROW), (ann, ROW), (SPLIT, ROW))
    assert count(service, "modelway_subject_errors_total") == 2
    assert count(service, "modelway_subjects_total") == 3


def test_a_slow_answer_counts_once_per_user(classification: Path) -> None:
    service = counting(classification, MODELWAY_SUBJECT_HEADER="x-user-id", MODELWAY_SLOW_SECONDS="0.10")
    head = {b"x-modelway-assignment": b"split", b"x-user-id": b"ann"}
    subjects = service.subjects
    assert subjects is not None
    for seconds in (0.05, 0.1, 0.11, 9.0):
        subjects.request(head, 200, seconds, "benign")
    assert counts(service, "modelway_subject_slow_total") == {("0.1",): 1}
    assert counts(counting(classification), "modelway_subject_slow_total") == {}


def test_a_user_counts_for_the_first_prediction(classification: Path) -> None:
    service = counting(classification, MODELWAY_SUBJECT_HEADER="x-user-id")
    ann = SPLIT | {"x-user-id": "ann"}
    send(service, (ann, {}), (ann, {"rows": [OTHER_ROW, ROW]}), (ann, ROW), (SPLIT, ROW))
    found = counts(service, "modelway_subject_predictions_total")
    assert found == {("benign",): 1, ("malignant",): 1, ("unsure",): 0}


def test_a_regression_has_subjects_without_predictions(regression: Path) -> None:
    service = counting(regression)
    send(service, (SPLIT, ROW))
    assert count(service, "modelway_subjects_total") == 1
    assert counts(service, "modelway_subject_predictions_total") == {}


def test_nothing_is_counted_unless_asked_for(classification: Path) -> None:
    service = start(classification)
    send(service, (SPLIT, ROW))
    assert service.subjects is None
    assert b"subject" not in generate_latest(service.metrics.registry)


def test_copies_for_a_shadow_count_as_such(classification: Path) -> None:
    service = start(classification, MODELWAY_SHADOW="true")
    send(service, (SPLIT, ROW), ({"x-modelway-assignment": "pinned"}, ROW))
    found = {labels: n for labels, n in counts(service, "modelway_assigned_requests_total").items() if n}
    assert found == {("shadow", "200"): 1, ("pinned", "200"): 1}


def test_the_memory_gives_each_mark_once() -> None:
    memory = SubjectMemory(64)
    assert memory.mark(b"ann", TRIAL | PREDICTED) == TRIAL | PREDICTED
    assert memory.mark(b"ann", TRIAL | ERROR) == ERROR
    assert memory.mark(b"bob", TRIAL) == TRIAL
    assert memory.mark(b"ann", TRIAL | ERROR | SLOW | PREDICTED) == SLOW
    assert memory.mark(b"", TRIAL) == TRIAL


def test_the_memory_keeps_the_last_subjects_and_those_that_come_back() -> None:
    memory = SubjectMemory(64)
    for number in range(1000):
        assert memory.mark(b"%d" % number, TRIAL) == TRIAL
        # As many others come between as one generation holds, less this one.
        assert memory.mark(b"loyal", TRIAL) == (TRIAL if number == 0 else 0)
        assert memory.mark(b"%d" % max(0, number - 31), TRIAL) == 0
    assert memory.mark(b"0", TRIAL | ERROR) == TRIAL | ERROR


def test_a_subject_is_forgotten_with_all_its_marks() -> None:
    memory = SubjectMemory(16)
    trials = errors = 0
    for number in range(4000):
        new = memory.mark(b"%d" % (number * 7919 % 61), TRIAL | (ERROR if number % 3 == 0 else 0))
        trials += bool(new & TRIAL)
        errors += bool(new & ERROR)
        assert errors <= trials
    assert errors > 61


def test_the_memory_is_shared_by_forked_processes() -> None:
    memory = SubjectMemory(1024)
    assert memory.mark(b"ann", TRIAL) == TRIAL
    child = os.fork()
    if child == 0:
        os._exit(memory.mark(b"ann", TRIAL | ERROR))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == ERROR
    assert memory.mark(b"ann", TRIAL | ERROR) == 0


def test_a_user_who_meets_several_workers_is_one_trial(classification: Path) -> None:
    settings = {"MODELWAY_WORKERS": "2", "MODELWAY_SUBJECTS": "true", "MODELWAY_SUBJECT_HEADER": "x-user-id"}
    with running(classification, **settings) as server:
        for _ in range(30):
            headers = SPLIT | {"x-user-id": "ann"}
            assert httpx.post(f"{server.url}/predict", json=ROW, headers=headers, trust_env=False).status_code == 200
        server.wait_for(f'modelway_requests_total{{code="200",{LABELS}}} 30.0')
        assert f"modelway_subjects_total{{{LABELS}}} 1.0" in server.metrics()


def feedback(service: Service, *items: tuple[Mapping[str, str], dict[str, Any]]) -> None:
    """Predict with these headers, and say this of the prediction."""

    async def play() -> None:
        async with client_of(service) as client:
            for headers, item in items:
                one = (await client.post("/predict", json=ROW, headers=dict(headers))).json()["id"]
                assert (await client.post("/feedback", json={"id": one} | item)).status_code == 200

    asyncio.run(play())


@pytest.fixture
def scoring(classification: Path, tmp_path: Path) -> Service:
    (tmp_path / "key").write_text("0" * 64)
    settings = {"MODELWAY_FEEDBACK_KEY_FILE": str(tmp_path / "key"), "MODELWAY_FEEDBACK_OUTCOMES": "bought,revenue"}
    return counting(classification, MODELWAY_SUBJECT_HEADER="x-user-id", **settings)


def test_a_users_truth_counts_once_and_only_of_the_split(scoring: Service) -> None:
    ann = SPLIT | {"x-user-id": "ann"}
    pinned = {"x-modelway-assignment": "pinned", "x-user-id": "bob"}
    wrong, right = {"truth": "malignant"}, {"truth": "benign"}
    feedback(scoring, (ann, wrong), (ann, wrong), (ann, right), (pinned, wrong), (SPLIT, right), (SPLIT, wrong))
    assert count(scoring, "modelway_feedback_truths_total") == 3
    assert count(scoring, "modelway_feedback_wrong_total") == 2
    assert sum(counts(scoring, "modelway_feedback_truth_total").values()) == 6


def test_a_users_outcomes_count_once_each_and_others_than_zero_and_one_apart(scoring: Service) -> None:
    ann, bob = SPLIT | {"x-user-id": "ann"}, SPLIT | {"x-user-id": "bob"}
    feedback(
        scoring,
        (ann, {"outcome": {"bought": 0}}),
        (ann, {"outcome": {"bought": 1, "revenue": 12.5}}),
        (bob, {"outcome": {"bought": 1.0, "revenue": 1}}),
    )
    assert counts(scoring, "modelway_feedback_outcomes_total") == {("bought",): 2, ("revenue",): 1}
    assert counts(scoring, "modelway_feedback_outcome_failures_total") == {("bought",): 1, ("revenue",): 0}
    assert counts(scoring, "modelway_feedback_outcome_others_total") == {("bought",): 0, ("revenue",): 1}


def test_pods_with_the_same_key_name_a_user_alike_and_other_models_do_not(scoring: Service, tmp_path: Path) -> None:
    other = start(
        scoring.settings.model_dir,
        MODELWAY_FEEDBACK_KEY_FILE=str(tmp_path / "key"),
        MODELWAY_SUBJECTS="true",
        MODELWAY_VERSION="v2",
    )
    stranger = start(
        scoring.settings.model_dir, MODELWAY_FEEDBACK_KEY_FILE=str(tmp_path / "key"), MODELWAY_MODEL="another"
    )
    named = scoring.ids.subject(b"ann")
    assert len(named) == 8
    assert other.ids.subject(b"ann") == named
    assert stranger.ids.subject(b"ann") != named
    assert scoring.ids.subject(None) != scoring.ids.subject(None)
