"""Request and answer types, made from the signature, and the way from a request body to the model's rows."""

import difflib
import re
from collections.abc import Callable
from itertools import chain
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails, from_json

from modelway_server.errors import ApiError
from modelway_server.runtimes import Rows
from modelway_server.signature import FLOAT32_MAX, Feature, Signature

MAX_DETAILS = 20
MAX_NAME_LENGTH = 100
MAX_UNKNOWN = 100
MAX_NAMES_TO_COMPARE = 200

# A guess at what follows, so that it is read once; a wrong guess costs a second reading.
_MANY = re.compile(rb'\s*\{\s*"rows"')


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
        # The first wrong row is enough: all values of a large request together are a long list of errors.
        length = Field(strict=True, min_length=1, max_length=max_rows, fail_fast=True)
        many: Any = Annotated[list[self.row], length]  # type: ignore[name-defined]
        self.rows: type[BaseModel] = create_model(
            "Rows", __config__=ConfigDict(extra="forbid"), __doc__="Many rows at once.", rows=(many, ...)
        )
        self._width = len(self._names)
        self._check_row: Callable[[bytes], Any] = self.row.__pydantic_validator__.validate_json
        self._check_rows: Callable[[bytes], Any] = self.rows.__pydantic_validator__.validate_json

    def parse(self, body: bytes) -> tuple[Rows, bool]:
        """Rows as `[rows, features]`, and whether the request asked for many; raises `ApiError` 400 or 422.

        One pass over the bytes for what is right; only what fails is read again, to say why.
        """
        try:
            if _MANY.match(body):
                rows = self._check_rows(body).rows
                values = chain.from_iterable(row.__dict__.values() for row in rows)
                return np.fromiter(values, np.float32, len(rows) * self._width).reshape(-1, self._width), True
            row = self._check_row(body)
            return np.fromiter(row.__dict__.values(), np.float32, self._width).reshape(1, -1), False
        except ValidationError:
            return self._parse_document(body)

    def _parse_document(self, body: bytes) -> tuple[Rows, bool]:
        try:
            document = from_json(body)
        except ValueError as error:
            raise ApiError(400, f"the body is not JSON: {error}") from None
        many = isinstance(document, dict) and "rows" in document
        self._check_width(document)
        try:
            if many:
                parsed: Any = self.rows.model_validate(document)
                values = [list(row.__dict__.values()) for row in parsed.rows]
            else:
                values = [list(self.row.model_validate(document).__dict__.values())]
        except ValidationError as error:
            raise refusal_of(error, self._detail) from None
        return np.asarray(values, dtype=np.float32), many

    def _check_width(self, document: Any) -> None:
        """Refuse what is far too long before each of its values becomes an error of its own."""
        rows = document.get("rows", document) if isinstance(document, dict) else None
        if isinstance(rows, list) and len(rows) > self._max_rows:
            raise _too_long(["body", "rows"], f"should have 1 to {self._max_rows} rows")
        for row in rows if isinstance(rows, list) else [rows]:
            if isinstance(row, dict) and len(row) > self._width + MAX_UNKNOWN:
                raise _too_long(["body"], f"should have {self._width} values, not {len(row)}")

    def _detail(self, item: ErrorDetails) -> dict[str, Any]:
        found = _plain_detail(item)
        loc, message = found["loc"][1:], item["msg"]
        kind, last = item["type"], str(loc[-1]) if loc else ""
        if kind == "extra_forbidden":
            # Comparing takes microseconds per name: of a thousand names, none is suggested.
            names = self._names if self._width <= MAX_NAMES_TO_COMPARE else []
            close = difflib.get_close_matches(last, names, n=1)
            message = f"unknown feature, did you mean {close[0]!r}?" if close else "unknown feature"
            if last in self._names:
                message = "stands beside 'rows': send one row, or put every row into 'rows'"
        elif kind == "missing":
            message = "the feature is missing"
        elif kind == "model_type":
            message = "should be an object with a number per feature"
        elif kind in ("too_short", "too_long"):
            message = f"should have 1 to {self._max_rows} rows"
        return found | {"msg": message}


def refusal_of(error: ValidationError, describe: Callable[[ErrorDetails], dict[str, Any]] | None = None) -> ApiError:
    """400 for a body that is no JSON, else 422 with the values at fault; `describe` words one of them."""
    items = error.errors(include_url=False, include_context=False, include_input=False)
    if items[0]["type"] == "json_invalid":
        return ApiError(400, f"the body is not JSON: {items[0]['msg'].removeprefix('Invalid JSON: ')}")
    details = [(describe or _plain_detail)(item) for item in items[:MAX_DETAILS]]
    where = ".".join(str(part) for part in details[0]["loc"])
    more = len(items) - 1
    sentence = f"{where}: {details[0]['msg']}" + (f" (and {more} more)" if more else "")
    return ApiError(422, sentence, details)


def _too_long(loc: list[str], message: str) -> ApiError:
    return ApiError(422, f"{'.'.join(loc)}: {message}", [{"loc": loc, "msg": message, "type": "too_long"}])


def _plain_detail(item: ErrorDetails) -> dict[str, Any]:
    # Names come from strangers and are sent back: not at any length.
    loc = [part[:MAX_NAME_LENGTH] if isinstance(part, str) else part for part in item["loc"]]
    return {"loc": ["body", *loc], "msg": item["msg"], "type": item["type"]}


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
