"""Trains one model: float32 inputs, fixed seed, one thread, so that the same table gives the same model."""

from pathlib import Path

from pipeline import families, store
from pipeline.data import Table, split
from pipeline.provenance import library_versions


def train(
    table: Table, folder: Path, family: str | None = None, seed: int = 0, held_out_rows: int | None = None
) -> store.Facts:
    """Train on `table` and write the model to `folder`.

    `family` defaults to the first of the task, `held_out_rows` to 200 (30 % of a table of fewer than 400 rows).
    Raises `ProblemError` for an unknown family and for a held-out size that leaves no rows.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    estimator = families.create(table.task, family, seed)
    train_rows, held_out = split(table, seed, held_out_rows)
    with threadpool_limits(limits=1):
        estimator.fit(table.rows[train_rows], table.answers[train_rows])
    facts = store.Facts(
        task=table.task,
        family=family or families.DEFAULT_FAMILY[table.task],
        seed=seed,
        target=table.target,
        features=table.features,
        classes=table.classes,
        data_sha256=table.sha256,
        model_sha256="",
        libraries=library_versions(),
    )
    model = store.TrainedModel(facts, estimator, table.rows[train_rows], table.rows[held_out], table.answers[held_out])
    return store.save(folder, model)
