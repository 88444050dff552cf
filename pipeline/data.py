"""Reads a table, refuses what a model cannot be trained on, and splits off the held-out rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.provenance import digest, example_file
from tools.problem import Problem, ProblemError

Task = Literal["classification", "regression"]
ClassLabel = bool | int | str
Matrix = NDArray[np.float32]
Vector = NDArray[np.int64] | NDArray[np.float32]

HELD_OUT_ROWS = 200
SMALL_SHARE = 0.3
MINIMUM_ROWS = 20
MINIMUM_ROWS_PER_CLASS = 5
MAXIMUM_CLASSES = 100
READERS = {".csv": pd.read_csv, ".parquet": pd.read_parquet}


@dataclass(frozen=True)
class Table:
    """Rows that a model can be trained on."""

    features: tuple[str, ...]
    """Names of the input columns, in the order of the table."""
    target: str
    """Name of the predicted column."""
    task: Task
    """What is predicted."""
    classes: tuple[ClassLabel, ...] | None
    """Classes in sorted order; None for regression."""
    rows: Matrix
    """Inputs as `[rows, features]`."""
    answers: Vector
    """Per row the index of its class, or the value of a regression."""
    sha256: str
    """Digest of the file."""


EXAMPLE_TARGET = "diagnosis"


def read_example() -> Table:
    """The breast-cancer table with its target `diagnosis`: `benign` or `malignant`."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.assign(**{EXAMPLE_TARGET: bunch.target_names[bunch.target]})
    return check(frame, EXAMPLE_TARGET, "classification", digest(example_file()), "breast-cancer")


def read(path: Path, target: str, task: str) -> Table:
    """Rows of a CSV or Parquet file; raises `ProblemError` with everything that is wrong with it."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        allowed = "a file that ends in .csv or .parquet"
        raise ProblemError([Problem(str(path), "is no table", repr(path.suffix), allowed, "convert the file")])
    try:
        frame = reader(path)
    except (OSError, ValueError, UnicodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ProblemError(
            [
                Problem(
                    str(path),
                    "cannot be read",
                    reason,
                    f"a {path.suffix[1:].upper()} file",
                    "check the path and the file",
                )
            ]
        ) from None
    return check(frame, target, task, digest(path), str(path))


def check(frame: pd.DataFrame, target: str, task: str, sha256: str, where: str) -> Table:
    """`frame` as a `Table`; raises `ProblemError` with every problem; `where` names the table in them."""
    frame = frame.rename(columns=str)
    problems = list(_problems_of_shape(frame, target, task, where))
    if target in frame.columns:
        problems += _problems_of_columns(frame.drop(columns=target), where)
        if task in get_args(Task):
            problems += _problems_of_target(frame[target], task, where)
    if problems:
        raise ProblemError(problems)
    rows = np.ascontiguousarray(frame.drop(columns=target).to_numpy(dtype=np.float32))
    features = tuple(column for column in frame.columns if column != target)
    if task == "regression":
        values = frame[target].to_numpy(dtype=np.float32)
        return Table(features, target, "regression", None, rows, values, sha256)
    labels, indices = np.unique(frame[target].to_numpy(), return_inverse=True)
    classes = tuple(_label(value) for value in labels)
    return Table(features, target, "classification", classes, rows, indices.astype(np.int64), sha256)


def _label(value: object) -> ClassLabel:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    return int(value) if isinstance(value, int | float | np.number) else str(value)


def _problems_of_shape(frame: pd.DataFrame, target: str, task: str, where: str) -> Iterator[Problem]:
    if task not in get_args(Task):
        allowed = " or ".join(get_args(Task))
        yield Problem("--task", "is unknown", repr(task), allowed, "correct the option")
    if target not in frame.columns:
        names = [str(name) for name in frame.columns]
        shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        yield Problem(where, "has no target column", repr(target), f"one of {shown}", "correct --target")
    if len(frame) < MINIMUM_ROWS:
        yield Problem(where, "has too few rows", str(len(frame)), f"at least {MINIMUM_ROWS}", "add rows")
    if len(frame.columns) < 2:
        yield Problem(
            where, "has no feature", f"{len(frame.columns)} column(s)", "a target and features", "add columns"
        )


def _problems_of_columns(inputs: pd.DataFrame, where: str) -> Iterator[Problem]:
    for name in inputs.columns[inputs.columns.duplicated()]:
        yield Problem(where, "has two columns of one name", repr(name), "different names", "rename one")
    for position, name in enumerate(inputs.columns):
        place = f"{where} column {name!r}"
        column = inputs.iloc[:, position]
        if name == "rows":
            fix = "rename the column"
            yield Problem(place, "has a name that requests use for many rows", "'rows'", "another name", fix)
        if not name.strip() or name.startswith("Unnamed: "):
            fix = "name the column, or remove it if it is a row number"
            yield Problem(f"{where} column {position + 1}", "has no name", repr(name), "a name", fix)
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
            fix = "encode the column as numbers or remove it"
            yield Problem(place, "is not numeric", str(column.dtype), "numbers", fix)
            continue
        bad = _not_finite(column)
        if bad.any():
            fix = "fill the values or remove the rows"
            yield Problem(place, "has missing, infinite or too large values", _rows_of(bad), "float32 numbers", fix)


def _not_finite(column: pd.Series) -> NDArray[np.bool_]:
    with np.errstate(over="ignore"):
        finite: NDArray[np.bool_] = np.isfinite(column.to_numpy(dtype=np.float32, na_value=np.nan))
    return ~finite


def _rows_of(bad: NDArray[np.bool_]) -> str:
    return f"{bad.sum()} row(s), the first is row {int(bad.argmax()) + 1}"


def _problems_of_target(column: pd.Series, task: str, where: str) -> Iterator[Problem]:
    place = f"{where} target {column.name!r}"
    missing = column.isna()
    if missing.any():
        got, fix = _rows_of(missing.to_numpy()), "fill the values or remove the rows"
        yield Problem(place, "has missing values", got, "a value in every row", fix)
        return
    numeric = pd.api.types.is_numeric_dtype(column)
    if task == "regression":
        if not numeric or pd.api.types.is_bool_dtype(column):
            fix = "choose another target, or --task classification"
            yield Problem(place, "is not numeric", str(column.dtype), "numbers for a regression", fix)
        elif (bad := _not_finite(column)).any():
            fix = "correct the values or remove the rows"
            yield Problem(place, "has infinite or too large values", _rows_of(bad), "float32 numbers", fix)
        return
    counts = column.value_counts()
    if (numeric and not np.equal(column, np.floor(column.astype(float))).all()) or len(counts) > MAXIMUM_CLASSES:
        allowed = f"whole numbers or text, at most {MAXIMUM_CLASSES} classes"
        yield Problem(place, "does not name classes", f"{len(counts)} values", allowed, "use --task regression")
    elif len(counts) < 2:
        yield Problem(place, "has one class", repr(counts.index[0]), "at least two", "add rows of another class")
    elif counts.min() < MINIMUM_ROWS_PER_CLASS:
        rare = f"{counts.index[-1]!r} in {counts.min()} row(s)"
        allowed = f"{MINIMUM_ROWS_PER_CLASS} rows of each class"
        yield Problem(place, "has a rare class", rare, allowed, "add rows, or remove or merge the class")


def split(table: Table, seed: int, held_out_rows: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the training rows and of the held-out rows, stratified by class.

    `held_out_rows` defaults to 200, or to 30 % of a table of fewer than 400 rows.
    """
    from sklearn.model_selection import train_test_split

    total = len(table.rows)
    count = held_out_rows or (HELD_OUT_ROWS if total >= 2 * HELD_OUT_ROWS else int(total * SMALL_SHARE))
    smallest = len(table.classes or ("",))
    if not smallest <= count <= total - max(smallest, MINIMUM_ROWS // 2):
        allowed = f"{smallest} to {total - max(smallest, MINIMUM_ROWS // 2)} of {total} rows"
        raise ProblemError([Problem("--held-out-rows", "leaves no rows", str(count), allowed, "correct the option")])
    stratify = table.answers if table.task == "classification" else None
    train, held_out = train_test_split(np.arange(total), test_size=count, random_state=seed, stratify=stratify)
    return np.sort(train), np.sort(held_out)
