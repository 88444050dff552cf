"""Feedback: what is accepted, what is refused and why, and what the counters say afterwards."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest
from modelway_server.errors import ApiError
from modelway_server.feedback import MAXIMUM_ITEMS, Feedback, FeedbackAnswer
from modelway_server.prediction_id import Signer
from modelway_server.replay import SeenIds
from modelway_server.signature import Signature
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

KEY = bytes(range(32))
CLASSES = ("benign", "malignant", "unsure")
FEATURES = [{"name": "x", "dtype": "float32", "minimum": 0, "maximum": 1}]


class Replica:
    """One server's feedback, with its own registry and memory."""

    def __init__(
        self,
        classes: Sequence[Any] | None = CLASSES,
        version: str = "v1",
        outcomes: Sequence[str] = (),
        key: bytes = KEY,
        seen: SeenIds | None = None,
    ) -> None:
        self.seconds = 1_800_000_000.0
        self.signer = Signer([key], "cancer", version, "5e" * 32, classes, 3600, lambda: self.seconds)
        self.registry = CollectorRegistry()
        self.feedback = Feedback(
            self.signer, seen or SeenIds(3600, 1000), signature(classes), self.registry, ("cancer", version), outcomes
        )

    def score(self, **item: Any) -> dict[str, Any]:
        answer = self.feedback.score(json.dumps(item).encode())
        FeedbackAnswer.model_validate(answer)
        return answer

    def refusal(self, **item: Any) -> tuple[int, str]:
        with pytest.raises(ApiError) as caught:
            self.score(**item)
        return caught.value.status, caught.value.error

    def counts(self, name: str, *, zero: bool = False) -> dict[Any, float]:
        """Samples by their labels other than model and version; those of another version with it in front."""
        found = {}
        for family in text_string_to_metric_families(generate_latest(self.registry).decode()):
            for sample in family.samples:
                if sample.name == name and (sample.value or zero):
                    labels = {key: value for key, value in sample.labels.items() if key not in ("model", "version")}
                    own = sample.labels["version"] == self.signer._version.decode()
                    found[(*(() if own else (sample.labels["version"],)), *labels.values())] = sample.value
        return found

    def results(self) -> dict[str, float]:
        return {labels[0]: value for labels, value in self.counts("modelway_feedback_total").items()}


def signature(classes: Sequence[Any] | None) -> Signature:
    fields = {"task": "regression" if classes is None else "classification", "features": FEATURES, "classes": classes}
    return Signature.model_construct(**fields)


def test_a_truth_counts_by_prediction_and_class() -> None:
    replica = Replica()
    for predicted, truth in [("benign", "benign"), ("benign", "malignant"), ("unsure", "unsure"), ("benign", "benign")]:
        answer = replica.score(id=replica.signer.issue(predicted), truth=truth)
        assert answer == {"accepted": 1, "refused": []}
    assert replica.counts("modelway_feedback_truth_total") == {
        ("true", "benign", "benign"): 2,
        ("false", "benign", "malignant"): 1,
        ("true", "unsure", "unsure"): 1,
    }
    assert replica.results() == {"accepted": 4}


def test_every_known_series_exists_before_its_first_event() -> None:
    replica = Replica(outcomes=("clicked",))
    assert len(replica.counts("modelway_feedback_truth_total", zero=True)) == 9
    assert len(replica.counts("modelway_feedback_outcome_sum", zero=True)) == 2
    results = replica.counts("modelway_feedback_total", zero=True)
    assert sorted(name for (name,) in results) == [
        "accepted", "expired", "forged", "malformed", "misdirected", "repeated"
    ]  # fmt: skip
    assert Replica(None).counts("modelway_feedback_absolute_error_count", zero=True) == {(): 0}


@pytest.mark.parametrize("classes", [(0, 1), (False, True), ("0", "1")])
def test_a_truth_has_the_type_of_its_class(classes: tuple[Any, Any]) -> None:
    replica = Replica(classes)
    truths = [0, 1, False, True, "0", "1", 0.0, 1.0]
    ids = replica.signer.issue_many(classes * 4)
    items = [{"id": text, "truth": truth} for text, truth in zip(ids, truths, strict=True)]
    refused = replica.score(items=items)["refused"]
    assert [truths[item["index"]] for item in refused] == [
        truth for truth in truths if type(truth) is not type(classes[0])
    ]
    assert {(item["status"], item["error"]) for item in refused} == {
        (422, f"truth: is no class of this model, allowed {classes[0]!r}, {classes[1]!r}")
    }


def test_a_regression_counts_absolute_errors() -> None:
    replica = Replica(None)
    for predicted, truth in [(1.5, 1), (2.0, 4.25), (-1.0, -1.0)]:
        replica.score(id=replica.signer.issue(predicted), truth=truth)
    assert replica.counts("modelway_feedback_absolute_error_sum") == {(): 2.75}
    assert replica.counts("modelway_feedback_absolute_error_count") == {(): 3}


@pytest.mark.parametrize("truth", ["1", True, 1e39, 10**400])
def test_a_truth_of_a_regression_is_a_number_within_float32(truth: Any) -> None:
    replica = Replica(None)
    assert replica.refusal(id=replica.signer.issue(1.0), truth=truth) == (
        422,
        "truth: should be a number within float32",
    )
    assert replica.counts("modelway_feedback_absolute_error_count") == {}


def test_outcomes_below_zero_are_summed_apart() -> None:
    replica = Replica(outcomes=("revenue", "clicked"))
    for outcome in ({"revenue": 12.5, "clicked": 1}, {"revenue": -2}, {"revenue": 0}):
        replica.score(id=replica.signer.issue("benign"), outcome=outcome)
    assert replica.counts("modelway_feedback_outcome_sum") == {
        ("revenue", "positive"): 12.5,
        ("revenue", "negative"): 2,
        ("clicked", "positive"): 1,
    }
    assert replica.counts("modelway_feedback_outcome_count") == {
        ("revenue", "positive"): 2,
        ("revenue", "negative"): 1,
        ("clicked", "positive"): 1,
    }


def test_an_outcome_that_is_not_set_is_refused_whole() -> None:
    replica = Replica(outcomes=("clicked",))
    one = replica.signer.issue("benign")
    assert replica.refusal(id=one, truth="benign", outcome={"clicked": 1, "bought": 2}) == (
        422,
        "outcome.bought: is no outcome of this service, allowed clicked",
    )
    assert replica.counts("modelway_feedback_outcome_count") == {}
    assert replica.counts("modelway_feedback_truth_total") == {}
    # Nothing was remembered either.
    replica.score(id=one, truth="benign", outcome={"clicked": 1})


def test_no_outcome_is_accepted_without_the_setting() -> None:
    replica = Replica()
    assert replica.refusal(id=replica.signer.issue("benign"), outcome={"clicked": 1}) == (
        422,
        "outcome.clicked: is no outcome of this service, allowed none: MODELWAY_FEEDBACK_OUTCOMES is empty",
    )


def test_the_truth_and_each_outcome_of_a_prediction_count_once_and_may_come_apart() -> None:
    replica = Replica(outcomes=("clicked", "revenue"))
    one = replica.signer.issue("benign")
    replica.score(id=one, outcome={"clicked": 1})
    replica.score(id=one, truth="benign")
    repeated = (409, "this truth or outcome of the prediction was counted before")
    assert replica.refusal(id=one, truth="malignant") == repeated
    assert replica.refusal(id=one, outcome={"clicked": 0}) == repeated
    assert replica.refusal(id=one, outcome={"revenue": 3, "clicked": 1}) == repeated
    replica.score(id=one, outcome={"revenue": 3})
    assert replica.results() == {"accepted": 3, "repeated": 3}
    assert replica.counts("modelway_feedback_outcome_count") == {("clicked", "positive"): 1, ("revenue", "positive"): 1}


def test_an_id_spelt_otherwise_is_the_same_prediction() -> None:
    replica = Replica()
    one = replica.signer.issue("benign")
    replica.score(id=one, truth="benign")
    raw = base64.urlsafe_b64decode(one + "=")
    spellings = {
        one[:-1] + character for character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    }
    same = [text for text in spellings if base64.urlsafe_b64decode(text + "=") == raw]
    assert len(same) > 1
    assert {replica.refusal(id=text, truth="benign")[0] for text in same} == {409}


def test_forged_and_expired_ids_are_refused_and_counted() -> None:
    replica, stranger = Replica(), Replica(key=bytes(32))
    assert replica.refusal(id=stranger.signer.issue("benign"), truth="benign") == (
        403,
        "the id was not signed by this service",
    )
    old = replica.signer.issue("benign")
    replica.seconds += 3602
    assert replica.refusal(id=old, truth="benign") == (410, "the id is older than 3600 s")
    assert replica.results() == {"forged": 1, "expired": 1}
    assert replica.counts("modelway_feedback_truth_total") == {}


def test_any_replica_scores_and_workers_refuse_together_what_was_counted() -> None:
    seen = SeenIds(3600, 1000)
    first, second, other_pod = Replica(seen=seen), Replica(seen=seen), Replica()
    one = first.signer.issue("benign")
    assert second.score(id=one, truth="benign")["accepted"] == 1
    assert first.refusal(id=one, truth="benign")[0] == 409
    # Documented: another pod does not know what this one counted.
    assert other_pod.score(id=one, truth="benign")["accepted"] == 1


def test_feedback_counts_for_the_version_that_predicted() -> None:
    old, new = Replica(version="v1"), Replica(version="v2")
    new.score(id=old.signer.issue("unsure"), truth="benign")
    assert new.counts("modelway_feedback_truth_total") == {("v1", "false", "unsure", "benign"): 1}
    assert len(new.counts("modelway_feedback_truth_total", zero=True)) == 2 * 9


def test_a_version_with_other_classes_takes_outcomes_and_no_truths() -> None:
    old, new = Replica(version="v1"), Replica(("no", "yes"), "v2", ("clicked",))
    one = old.signer.issue("unsure")
    assert new.refusal(id=one, truth="no") == (
        421,
        "version v1 has other classes: send its truths to that version",
    )
    new.score(id=one, outcome={"clicked": 1})
    assert new.counts("modelway_feedback_outcome_sum") == {("v1", "clicked", "positive"): 1}
    assert ("v1", "clicked", "negative") in new.counts("modelway_feedback_outcome_sum", zero=True)
    assert len(new.counts("modelway_feedback_truth_total", zero=True)) == 4
    assert new.results() == {"accepted": 1, "misdirected": 1}


def test_of_many_each_is_refused_for_itself() -> None:
    replica = Replica()
    one, two, old = replica.signer.issue_many(["benign", "unsure", "benign"])
    items = [
        {"id": one, "truth": "benign"},
        {"id": "forged", "truth": "benign"},
        {"id": two, "truth": "maligant"},
        {"id": two, "truth": "unsure"},
        {"id": one, "truth": "benign"},
        {"id": old},
    ]
    assert replica.score(items=items) == {
        "accepted": 2,
        "refused": [
            {"index": 1, "status": 403, "error": "the id is none that this service gave"},
            {
                "index": 2,
                "status": 422,
                "error": "truth: is no class of this model, allowed 'benign', 'malignant', 'unsure'",
            },
            {"index": 4, "status": 409, "error": "this truth or outcome of the prediction was counted before"},
            {"index": 5, "status": 422, "error": "there is neither a truth nor an outcome"},
        ],
    }
    assert replica.results() == {"accepted": 2, "forged": 1, "malformed": 2, "repeated": 1}


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "the body is not JSON: EOF while parsing a value at line 1 column 0"),
        (b'{"id": NaN}', 400, "the body is not JSON: expected value at line 1 column 8"),
        (b"\xff", 400, "the body is not JSON: expected value at line 1 column 1"),
        (b"[]", 422, "body: Input should be a valid dictionary or instance of Item"),
        (b'{"truth": "a"}', 422, "body.id: Field required"),
        (b'{"id": 5, "truth": "a"}', 422, "body.id: Input should be a valid string"),
        (b'{"id": "a", "truth": "a", "more": 1}', 422, "body.more: Extra inputs are not permitted"),
        (b'{"items": []}', 422, "body.items: List should have at least 1 item after validation, not 0"),
        (b'{"items": [{"id": "a"}], "id": "a"}', 422, "body.id: Extra inputs are not permitted"),
        (b'{"items": [{}, {}]}', 422, "body.items.0.id: Field required (and 1 more)"),
    ],
)
def test_a_body_that_is_not_as_declared_counts_nothing(body: bytes, status: int, error: str) -> None:
    replica = Replica()
    with pytest.raises(ApiError) as caught:
        replica.feedback.score(body)
    assert (caught.value.status, caught.value.error) == (status, error)
    assert (caught.value.detail is not None) == (status == 422)
    assert replica.results() == {"malformed": 1}


def test_more_than_the_limit_are_refused_together() -> None:
    replica = Replica()
    items = [{"id": text, "truth": "benign"} for text in replica.signer.issue_many(["benign"] * (MAXIMUM_ITEMS + 1))]
    assert replica.refusal(items=items)[0] == 422
    assert replica.score(items=items[:-1])["accepted"] == MAXIMUM_ITEMS


def test_with_many_classes_a_wrong_prediction_counts_once_per_side() -> None:
    classes = tuple(range(25))
    replica = Replica(classes)
    for predicted, truth in [(3, 3), (3, 4), (24, 4)]:
        replica.score(id=replica.signer.issue(predicted), truth=truth)
    assert replica.counts("modelway_feedback_truth_total") == {
        ("true", "3", "3"): 1,
        ("false", "3", "(other)"): 1,
        ("false", "24", "(other)"): 1,
        ("false", "(other)", "4"): 2,
    }
    assert len(replica.counts("modelway_feedback_truth_total", zero=True)) == 3 * 25


def test_more_outcomes_than_allowed_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="21 outcomes, allowed 20"):
        Replica(outcomes=[f"o{index}" for index in range(21)])
