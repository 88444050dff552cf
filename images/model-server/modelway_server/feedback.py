"""Scores what became of predictions: `POST /feedback` turns signed ids and truths into counters.

Only counters are exported, so that workers, replicas and restarts add up; accuracy, precision, recall, F1, MAE and
means of outcomes over a window are recording rules over them.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from prometheus_client import CollectorRegistry, Counter, Summary
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError
from pydantic_core import from_json

from modelway_server.errors import ApiError
from modelway_server.prediction_id import ExpiredError, ForgedError, Issued, Signer
from modelway_server.replay import SeenIds
from modelway_server.signature import FLOAT32_MAX, ClassLabel, Signature
from modelway_server.subject_scores import SubjectScores

MAXIMUM_ITEMS = 200
"""Each takes some 15 µs, during which one worker answers nothing else."""
MAXIMUM_OUTCOMES = 20
MAXIMUM_MATRIX_CLASSES = 20
"""Up to this many classes each pair of prediction and truth has its series: 400 at most."""
MAXIMUM_DETAILS = 20
OTHER = "(other)"
"""Beyond: a wrong prediction counts once with the truth hidden behind this and once with the prediction hidden, which
leaves three series per class and still all that accuracy, precision, recall and F1 need."""

RESULTS = {
    400: "malformed",
    403: "forged",
    409: "repeated",
    410: "expired",
    421: "misdirected",
    422: "malformed",
}
"""Label `result` of `modelway_feedback_total` by the status of the refusal; `accepted` without one."""

Truth = StrictBool | StrictInt | StrictFloat | StrictStr


class Item(BaseModel):
    """Feedback on one prediction: its truth, outcomes, or both; they may come in separate requests."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(strict=True)]
    """The `id` of the prediction."""
    truth: Truth | None = None
    """The class that was right, as answers write it; for a regression the true value."""
    outcome: dict[str, StrictInt | StrictFloat] | None = None
    """Numbers by name, such as `{"revenue": 12.5}`; the names are fixed by `MODELWAY_FEEDBACK_OUTCOMES`."""


class Items(BaseModel):
    """Feedback on many predictions."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[Item], Field(strict=True, min_length=1, max_length=MAXIMUM_ITEMS)]
    """One entry per prediction; each is accepted or refused for itself."""


class RefusedItem(BaseModel):
    """One of many that did not count."""

    index: int
    """Its position in `items`."""
    status: int
    """The status that it would have had alone: 403, 409, 410, 421 or 422."""
    error: str
    """Why, in one sentence."""


class FeedbackAnswer(BaseModel):
    """Body of the answer."""

    accepted: int
    """How many counted."""
    refused: list[RefusedItem]
    """Those that did not; always empty for a single one, whose refusal is the status of the answer."""


class Feedback:
    """Checks and counts feedback. Thread-safe."""

    def __init__(
        self,
        signer: Signer,
        seen: SeenIds,
        signature: Signature,
        registry: CollectorRegistry,
        labels: tuple[str, str],
        outcomes: Sequence[str] = (),
        subjects: bool = False,
    ) -> None:
        """`labels`: model and version that this server answers for; `outcomes`: names that may be sent, at most 20;
        `subjects`: count for an experiment as well.
        """
        if len(outcomes) > MAXIMUM_OUTCOMES:
            raise ValueError(f"{len(outcomes)} outcomes, allowed {MAXIMUM_OUTCOMES}")
        self._signer = signer
        self._seen = seen
        self._classes = signature.classes
        self._outcomes = tuple(outcomes)
        self._model = labels[0]
        self._scores = _Scores(registry, signature.classes)
        self._trials = SubjectScores(registry, self._outcomes, signature.classes is not None) if subjects else None
        if self._trials is not None:
            self._trials.prepare(*labels)
        results = Counter(
            "modelway_feedback", "Feedback by what became of it.", ("model", "version", "result"), registry=registry
        )
        names = sorted({"accepted", *RESULTS.values()})
        self._results = {name: results.labels(*labels, name) for name in names}
        # Every known series exists from the start: a rate over a series that appears with its first event loses it.
        self._scores.prepare(*labels, self._outcomes, pairs=True)
        self._versions = {labels[1]}

    def score(self, body: bytes) -> dict[str, Any]:
        """Count one `Item` or `Items`; returns a `FeedbackAnswer` as a dict.

        Raises `ApiError`: 400 no JSON, 422 not as declared, 403 forged, 410 expired, 409 counted before, 421 from a
        version with other classes. Of many each is refused for itself, and the call only raises for the body's shape.
        """
        try:
            many, items = _parse(body)
        except ApiError:
            self._results["malformed"].inc()
            raise
        refused = []
        for index, item in enumerate(items):
            try:
                self._score(item)
            except ApiError as error:
                self._results[RESULTS[error.status]].inc()
                if not many:
                    raise
                refused.append({"index": index, "status": error.status, "error": error.error})
            else:
                self._results["accepted"].inc()
        return {"accepted": len(items) - len(refused), "refused": refused}

    def _score(self, item: Item) -> None:
        """Count all of `item` or nothing."""
        issued = self._verify(item.id)
        parts, counts = [], []
        if item.truth is not None:
            counts.append(self._count_truth(issued, item.truth))
            parts.append(b"truth")
        for name, value in (item.outcome or {}).items():
            counts.append(self._count_outcome(issued, name, value))
            parts.append(b"outcome " + name.encode())
        if not parts:
            raise ApiError(422, "there is neither a truth nor an outcome")
        if not self._seen.add(*(issued.identity + b"\n" + part for part in parts)):
            raise ApiError(409, "this truth or outcome of the prediction was counted before")
        if issued.version not in self._versions:
            same = issued.answers == self._signer.answers
            self._scores.prepare(self._model, issued.version, self._outcomes, pairs=same)
            if self._trials is not None:
                self._trials.prepare(self._model, issued.version)
            self._versions.add(issued.version)
        for count in counts:
            count()
        if self._trials is not None and issued.subject:
            self._count_for_subject(issued, item, self._trials)

    def _count_for_subject(self, issued: Issued, item: Item, trials: SubjectScores) -> None:
        """Count what `item` says of its subject, for whom a truth and each outcome counts once per version."""
        subject = b"subject\n" + issued.version.encode() + b"\n" + issued.subject
        if item.truth is not None and self._classes is not None and self._seen.add(subject + b"truth"):
            right = self._classes[int(issued.value)] == item.truth
            trials.truth(self._model, issued.version, right=right)
        for name, value in (item.outcome or {}).items():
            if self._seen.add(subject + b"outcome " + name.encode()):
                trials.outcome(self._model, issued.version, name, value)

    def _verify(self, text: str) -> Issued:
        try:
            return self._signer.verify(text)
        except ForgedError as error:
            raise ApiError(403, str(error)) from None
        except ExpiredError as error:
            raise ApiError(410, str(error)) from None

    def _count_truth(self, issued: Issued, truth: Truth) -> Callable[[], None]:
        if issued.answers != self._signer.answers:
            # The gateway may send feedback to any version. The index of a class means nothing without its classes.
            raise ApiError(421, f"version {issued.version} has other classes: send its truths to that version")
        if self._classes is None:
            value = _number(truth)
            if value is None:
                raise ApiError(422, "truth: should be a number within float32")
            return lambda: self._scores.number(self._model, issued.version, float(issued.value), value)
        for label in self._classes:
            if type(label) is type(truth) and label == truth:
                predicted = self._classes[int(issued.value)]
                return lambda: self._scores.pair(self._model, issued.version, predicted, label)
        known = ", ".join(repr(label) for label in self._classes[:MAXIMUM_MATRIX_CLASSES])
        raise ApiError(422, f"truth: is no class of this model, allowed {known}")

    def _count_outcome(self, issued: Issued, name: str, value: float) -> Callable[[], None]:
        if name not in self._outcomes:
            known = ", ".join(self._outcomes) or "none: MODELWAY_FEEDBACK_OUTCOMES is empty"
            raise ApiError(422, f"outcome.{name[:100]}: is no outcome of this service, allowed {known}")
        number = _number(value)
        if number is None:
            raise ApiError(422, f"outcome.{name}: should be a number within float32")
        return lambda: self._scores.outcome(self._model, issued.version, name, number)


class _Scores:
    """The counters. A version is the one that predicted, which need not be this server's."""

    def __init__(self, registry: CollectorRegistry, classes: Sequence[ClassLabel] | None) -> None:
        labels = ("model", "version")
        self._labels = [str(label) for label in classes or ()]
        self._whole_matrix = len(self._labels) <= MAXIMUM_MATRIX_CLASSES
        if classes is None:
            self._error = Summary(
                "modelway_feedback_absolute_error", "|truth − prediction|.", labels, registry=registry
            )
        else:
            self._pairs = Counter(
                "modelway_feedback_truth",
                "Truths by predicted and true class.",
                (*labels, "prediction", "truth", "correct"),
                registry=registry,
            )
        self._outcome = Summary(
            "modelway_feedback_outcome",
            "Outcomes, those below zero by their absolute values apart: a sum that falls would be taken for a restart.",
            (*labels, "name", "sign"),
            registry=registry,
        )

    def prepare(self, model: str, version: str, outcomes: Sequence[str], *, pairs: bool) -> None:
        """Let every series of a version begin at zero, those of truths if `pairs`."""
        if pairs and not self._labels:
            self._error.labels(model, version)
        for predicted, truth in itertools.product(self._labels if pairs else (), repeat=2):
            for cell in self._cells(predicted, truth):
                self._pairs.labels(model, version, *cell)
        for name in outcomes:
            for sign in ("positive", "negative"):
                self._outcome.labels(model, version, name, sign)

    def pair(self, model: str, version: str, predicted: ClassLabel, truth: ClassLabel) -> None:
        """Count a truth."""
        for cell in self._cells(str(predicted), str(truth)):
            self._pairs.labels(model, version, *cell).inc()

    def number(self, model: str, version: str, predicted: float, truth: float) -> None:
        """Count a true value."""
        self._error.labels(model, version).observe(abs(truth - predicted))

    def outcome(self, model: str, version: str, name: str, value: float) -> None:
        """Count an outcome."""
        self._outcome.labels(model, version, name, "negative" if value < 0 else "positive").observe(abs(value))

    def _cells(self, predicted: str, truth: str) -> list[tuple[str, str, str]]:
        if predicted == truth:
            return [(predicted, truth, "true")]
        if self._whole_matrix:
            return [(predicted, truth, "false")]
        return [(predicted, OTHER, "false"), (OTHER, truth, "false")]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared as it is: an integer may be too large for any float.
    return float(value) if -FLOAT32_MAX <= value <= FLOAT32_MAX else None


def _parse(body: bytes) -> tuple[bool, list[Item]]:
    try:
        document = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {error}") from None
    many = isinstance(document, dict) and "items" in document
    try:
        return many, Items.model_validate(document).items if many else [Item.model_validate(document)]
    except ValidationError as error:
        details = [
            {"loc": ["body", *_short(item["loc"])], "msg": item["msg"], "type": item["type"]}
            for item in error.errors(include_url=False, include_context=False, include_input=False)[:MAXIMUM_DETAILS]
        ]
        where = ".".join(str(part) for part in details[0]["loc"])
        more = error.error_count() - 1
        text = f"{where}: {details[0]['msg']}" + (f" (and {more} more)" if more else "")
        raise ApiError(422, text, details) from None


def _short(loc: tuple[int | str, ...]) -> list[int | str]:
    return [part[:100] if isinstance(part, str) else part for part in loc]
