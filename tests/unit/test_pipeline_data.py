"""Tables that a model cannot be trained on are refused in one sentence per problem."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import data
from tools.problem import ProblemError


def frame(rows: int = 40) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    return pd.DataFrame({"width": generator.normal(size=rows), "count": range(rows), "kind": ["a", "b"] * (rows // 2)})


def refusals(table: pd.DataFrame, target: str = "kind", task: str = "classification") -> list[str]:
    with pytest.raises(ProblemError) as caught:
        data.check(table, target, task, "", "t.csv")
    return [str(problem) for problem in caught.value.problems]


def test_a_table_keeps_names_order_and_classes() -> None:
    table = data.check(frame(), "kind", "classification", "digest", "t.csv")
    assert (table.features, table.target, table.classes) == (("width", "count"), "kind", ("a", "b"))
    assert table.rows.dtype == np.float32
    assert table.rows.shape == (40, 2)
    assert table.answers[:4].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("values", "classes"),
    [([0, 1], (0, 1)), ([1.0, 2.0], (1, 2)), ([True, False], (False, True)), (["x", "y"], ("x", "y"))],
)
def test_classes_keep_their_kind(values: list[object], classes: tuple[object, ...]) -> None:
    table = data.check(frame().assign(kind=values * 20), "kind", "classification", "", "t.csv")
    assert table.classes == classes
    assert table.classes is not None
    assert [type(label) for label in table.classes] == [type(label) for label in classes]


def test_a_missing_target_column_is_refused() -> None:
    assert refusals(frame(), "color") == [
        "t.csv: has no target column: got 'color', allowed one of width, count, kind; correct --target."
    ]


def test_an_unknown_task_is_refused() -> None:
    assert refusals(frame(), task="ranking") == [
        "--task: is unknown: got 'ranking', allowed classification or regression; correct the option."
    ]


def test_all_problems_are_reported_together() -> None:
    table = frame().assign(
        color=["red", "blue"] * 20, rows=1.0, height=[np.nan, *range(39)], mass=[1.0] * 38 + [1e39, np.inf]
    )
    assert refusals(table) == [
        "t.csv column 'color': is not numeric: got str, allowed numbers; encode the column as numbers or remove it.",
        "t.csv column 'rows': has a name that requests use for many rows: got 'rows', allowed another name; "
        "rename the column.",
        "t.csv column 'height': has missing, infinite or too large values: got 1 row(s), the first is row 1, "
        "allowed float32 numbers; fill the values or remove the rows.",
        "t.csv column 'mass': has missing, infinite or too large values: got 2 row(s), the first is row 39, "
        "allowed float32 numbers; fill the values or remove the rows.",
    ]


def test_a_row_number_column_is_refused() -> None:
    assert refusals(frame().assign(**{"Unnamed: 0": range(40)})) == [
        "t.csv column 3: has no name: got 'Unnamed: 0', allowed a name; "
        "name the column, or remove it if it is a row number."
    ]


def test_two_columns_of_one_name_are_refused() -> None:
    table = pd.concat([frame(), frame()[["width"]]], axis=1)
    assert refusals(table) == ["t.csv: has two columns of one name: got 'width', allowed different names; rename one."]


def test_too_few_rows_are_refused() -> None:
    assert refusals(frame(10)) == ["t.csv: has too few rows: got 10, allowed at least 20; add rows."]


def test_a_table_without_features_is_refused() -> None:
    assert refusals(frame()[["kind"]]) == [
        "t.csv: has no feature: got 1 column(s), allowed a target and features; add columns."
    ]


@pytest.mark.parametrize(
    ("values", "task", "sentence"),
    [
        (
            ["a"] * 40,
            "classification",
            "t.csv target 'kind': has one class: got 'a', allowed at least two; add rows of another class.",
        ),
        (
            ["a"] * 39 + ["b"],
            "classification",
            "t.csv target 'kind': has a rare class: got 'b' in 1 row(s), allowed 5 rows of each class; "
            "add rows, or remove or merge the class.",
        ),
        (
            [0.5, 1.5] * 20,
            "classification",
            "t.csv target 'kind': does not name classes: got 2 values, allowed whole numbers or text, "
            "at most 100 classes; use --task regression.",
        ),
        (
            ["a", None] * 20,
            "classification",
            "t.csv target 'kind': has missing values: got 20 row(s), the first is row 2, allowed a value in every row; "
            "fill the values or remove the rows.",
        ),
        (
            ["a", "b"] * 20,
            "regression",
            "t.csv target 'kind': is not numeric: got str, allowed numbers for a regression; "
            "choose another target, or --task classification.",
        ),
    ],
)
def test_a_target_that_does_not_fit_the_task_is_refused(values: list[object], task: str, sentence: str) -> None:
    assert refusals(frame().assign(kind=values), task=task) == [sentence]


def test_an_infinite_target_of_a_regression_is_refused() -> None:
    assert refusals(frame().assign(kind=[1.0] * 39 + [np.inf]), task="regression") == [
        "t.csv target 'kind': has infinite or too large values: got 1 row(s), the first is row 40, "
        "allowed float32 numbers; correct the values or remove the rows."
    ]


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    def refusal(path: Path) -> str:
        with pytest.raises(ProblemError) as caught:
            data.read(path, "kind", "classification")
        return str(caught.value)

    assert refusal(tmp_path / "t.xls") == (
        f"{tmp_path}/t.xls: is no table: got '.xls', allowed a file that ends in .csv or .parquet; convert the file."
    )
    assert refusal(tmp_path / "absent.csv").startswith(f"{tmp_path}/absent.csv: cannot be read: got ")
    for name, content in (("empty.csv", b""), ("binary.csv", b"\xff\xfe\x00\x81"), ("false.parquet", b"a,b\n1,2\n")):
        (tmp_path / name).write_bytes(content)
        assert refusal(tmp_path / name).startswith(f"{tmp_path / name}: cannot be read: got ")
        assert "\n" not in refusal(tmp_path / name)


def test_csv_and_parquet_give_the_same_table(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "t.csv", index=False)
    frame().to_parquet(tmp_path / "t.parquet")
    tables = [data.read(tmp_path / f"t.{kind}", "kind", "classification") for kind in ("csv", "parquet")]
    assert np.array_equal(tables[0].rows, tables[1].rows)
    assert tables[0].features == tables[1].features


def test_held_out_rows_are_stratified_apart_and_fixed_by_the_seed() -> None:
    table = data.read_example()
    train, held_out = data.split(table, seed=0, held_out_rows=None)
    assert (len(train), len(held_out)) == (369, 200)
    assert set(train).isdisjoint(held_out)
    assert np.bincount(table.answers[held_out].astype(int)).tolist() == [125, 75]
    assert np.array_equal(held_out, data.split(table, seed=0, held_out_rows=None)[1])
    assert not np.array_equal(held_out, data.split(table, seed=1, held_out_rows=None)[1])


def test_a_held_out_size_that_leaves_no_rows_is_refused() -> None:
    with pytest.raises(ProblemError) as caught:
        data.split(data.read_example(), seed=0, held_out_rows=565)
    assert str(caught.value) == (
        "--held-out-rows: leaves no rows: got 565, allowed 2 to 559 of 569 rows; correct the option."
    )
