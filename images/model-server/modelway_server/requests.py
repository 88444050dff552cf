"""Request and answer types, made from the signature, and the way from a request body to the model's rows."""

import difflib
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails, from_json

from modelway_server.errors import ApiError
from modelway_server.model import Rows
from modelway_server.signature import Feature, Signature

FLOAT32_MAX = float(np.finfo(np.float32).max)
MAX_DETAILS = 20
MAX_NAME_LENGTH = 100


class RequestParser:
    """Turns request bodies into rows of one signature. Thread-safe."""

    def __init__(self, signature: Signature, max_rows: int) -> None:
        self._names = [feature.name for feature in signature.features]
        self._max_rows = max_rows
        # Field names are positions: a column may be called anything, `model_config` and `copy` included.
        fields: dict[str, Any] = {
            f"f{index}": (_number(feature), ...) for index, feature in enumerate(signature.features)
        }
        self.row: type[BaseModel] = create_model(
            "Row", __config__=ConfigDict(extra="forbid"), __doc__="One row: a number per feature.", **fields
        )
        many: Any = Annotated[list[self.row], Field(strict=True, min_length=1, max_length=max_rows)]  # type: ignore[name-defined]
        self.rows: type[BaseModel] = create_model(
            "Rows", __config__=ConfigDict(extra="forbid"), __doc__="Many rows at once.", rows=(many, ...)
        )

    def parse(self, body: bytes) -> tuple[Rows, bool]:
        """Rows as `[rows, features]`, and whether the request asked for many; raises `ApiError` 400 or 422."""
        try:
            document = from_json(body)
        except ValueError as error:
            raise ApiError(400, f"the body is not JSON: {error}") from None
        many = isinstance(document, dict) and "rows" in document
        try:
            if many:
                parsed: Any = self.rows.model_validate(document)
                values = [list(row.__dict__.values()) for row in parsed.rows]
            else:
                values = [list(self.row.model_validate(document).__dict__.values())]
        except ValidationError as error:
            raise self._refusal(error) from None
        return np.asarray(values, dtype=np.float32), many

    def _refusal(self, error: ValidationError) -> ApiError:
        details = [
            self._detail(item)
            for item in error.errors(include_url=False, include_context=False, include_input=False)[:MAX_DETAILS]
        ]
        where = ".".join(str(part) for part in details[0]["loc"])
        more = error.error_count() - 1
        sentence = f"{where}: {details[0]['msg']}" + (f" (and {more} more)" if more else "")
        return ApiError(422, sentence, details)

    def _detail(self, item: ErrorDetails) -> dict[str, Any]:
        loc = [part[:MAX_NAME_LENGTH] if isinstance(part, str) else part for part in item["loc"]]
        message = item["msg"]
        kind, last = item["type"], str(loc[-1]) if loc else ""
        if kind == "extra_forbidden":
            close = difflib.get_close_matches(last, self._names, n=1)
            message = f"unknown feature, did you mean {close[0]!r}?" if close else "unknown feature"
            if last in self._names:
                message = "stands beside 'rows': send one row, or put every row into 'rows'"
        elif kind == "missing":
            message = "the feature is missing"
        elif kind == "model_type":
            message = "should be an object with a number per feature"
        elif kind in ("too_short", "too_long"):
            message = f"should have 1 to {self._max_rows} rows"
        return {"loc": ["body", *loc], "msg": message, "type": kind}


def _number(feature: Feature) -> Any:
    info = Field(
        alias=feature.name,
        strict=True,
        allow_inf_nan=False,
        ge=-FLOAT32_MAX,
        le=FLOAT32_MAX,
        description=f"{feature.dtype}; {feature.minimum:g} to {feature.maximum:g} in the training data",
        examples=[feature.minimum],
    )
    return Annotated[float, info]


def answer_model(signature: Signature) -> type[BaseModel]:
    """Type of the answer, for the documentation: single values for one row, lists for `rows`."""
    one: Any = float
    if signature.classes is not None:
        kinds = {type(label) for label in signature.classes}
        one = kinds.pop() if len(kinds) == 1 else int | str | bool
    fields: dict[str, Any] = {
        "prediction": (one | list[one], Field(description="the class, or the value of a regression"))
    }
    if signature.classes is not None:
        order = ", ".join(str(label) for label in signature.classes)
        fields["probability"] = (
            list[float] | list[list[float]],
            Field(description=f"one probability per class, in the order {order}"),
        )
    fields["id"] = (str | list[str], Field(description="unique name of the prediction"))
    fields["model"] = (str, Field(description="name of the model"))
    fields["version"] = (str, Field(description="version that answered"))
    return create_model("Answer", **fields)
