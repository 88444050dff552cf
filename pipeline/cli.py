"""The command line: `python -m pipeline train | evaluate | package | example`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.problem import Problem, ProblemError
from tools.progress import Progress

if TYPE_CHECKING:
    from pipeline.evaluation import Evaluation

app = typer.Typer(
    help="From a table to a served model: train, evaluate against a champion, package as an image.",
    epilog="Exit codes: 0 done, 1 rejected by the gate, 2 bad input (one sentence per problem on standard error).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

REJECTED, BAD_INPUT = 1, 2

FormatOption = Annotated[
    str, typer.Option("--format", help="onnx, xgboost, lightgbm, skops; pickle needs a server that allows it.")
]
KeyOption = Annotated[
    Path | None,
    typer.Option(help="Private key that signs the report. Default: MODELWAY_EVALUATION_KEY, else this machine's own."),
]


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except ProblemError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        raise typer.Exit(BAD_INPUT) from None


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Folder for the trained model.")],
    data: Annotated[
        Path | None, typer.Option(help="CSV or Parquet file. Default: the breast-cancer table (569 rows, 30 features).")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict; needed with --data.")] = None,
    task: Annotated[str, typer.Option(help="classification or regression.")] = "classification",
    family: Annotated[
        str | None,
        typer.Option(
            help="logistic-regression (for a regression linear), gradient-boosting, hist-gradient-boosting, xgboost or "
            "lightgbm. Default: the first."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the split and the training.")] = 0,
    held_out_rows: Annotated[
        int | None, typer.Option(min=1, help="Rows kept for evaluation. Default: 200, or 30 % of fewer than 400 rows.")
    ] = None,
) -> None:
    """Train a model and keep held-out rows apart; the same table and seed give the same model."""
    from pipeline import data as tables
    from pipeline import training

    with _problems():
        if data is not None and target is None:
            fix = "name the column to predict"
            raise ProblemError([Problem("--target", "is missing", "--data without it", "a column", fix)])
        progress = Progress()
        with progress.step("reading the table") as step:
            table = tables.read_example() if data is None else tables.read(data, target or "", task)
            step.update(f"{len(table.rows)} rows, {len(table.features)} features")
        with progress.step(f"training a {family or 'default'} model") as step:
            facts = training.train(table, out, family, seed, held_out_rows)
            step.update(f"{facts.family}, in {out}")


@app.command()
def evaluate(
    candidate: Annotated[Path, typer.Option(help="Folder of the model to judge.")],
    champion: Annotated[Path | None, typer.Option(help="Folder of the model in production.")] = None,
    rules: Annotated[
        Path | None, typer.Option(help="YAML file of rules (docs/evaluation.md); the options below win over it.")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="How much worse a candidate may be; for MAE a share of the champion's [0.01].")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Metric that decides. Default: f1, for a regression mae.")] = None,
    floor: Annotated[
        list[str] | None, typer.Option(help="METRIC=VALUE that must be reached (mae: not exceeded); repeatable.")
    ] = None,
    model_format: FormatOption = "onnx",
    key: KeyOption = None,
) -> None:
    """The gate: exit 1 when the model is worse than the champion or breaks a rule; writes and signs the report.

    Worse: the 95 % interval of candidate minus champion, from a bootstrap over the same held-out rows, lies wholly
    below −margin; for accuracy, an exact McNemar test says so. The figures are in report.json, and signed in
    evaluation.dsse.json.
    """
    from pipeline import attestation, evaluation, signing
    from pipeline import rules as rule_files

    with _problems():
        given = {"margin": margin, "metric": metric, "floors": _floors(floor) if floor else None}
        changes = {name: value for name, value in given.items() if value is not None}
        wanted = rule_files.read(rules, changes)
        chosen = signing.chosen_key(key)
        signing.load(chosen)
        with Progress().step("evaluating"):
            verdict = evaluation.evaluate(candidate, champion, rules=wanted, model_format=model_format)
            report = evaluation.report_of(candidate)
            attestation.write_signed(candidate, {report["packaged_file"]: report["packaged_sha256"]}, report, chosen)
    for line in _figures(verdict):
        typer.echo(line)
    typer.echo(("accepted: " if verdict.accepted else "rejected: ") + "; ".join(verdict.reasons))
    if not verdict.accepted:
        raise typer.Exit(REJECTED)


@app.command()
def package(
    model: Annotated[Path, typer.Option(help="Folder of the trained model.")],
    name: Annotated[str, typer.Option(help="Name of the model, a DNS label.")],
    version: Annotated[str, typer.Option(help="Name of the version, a DNS label.")],
    registry: Annotated[str, typer.Option(help="Registry, with an optional path.")] = "127.0.0.1:5000",
    model_format: FormatOption = "onnx",
    base: Annotated[str | None, typer.Option(help="Base image with Python 3.11. Default: the builder's.")] = None,
    no_push: Annotated[
        bool, typer.Option("--no-push", help="Build the image, but neither push nor record it.")
    ] = False,
    no_image: Annotated[bool, typer.Option("--no-image", help="Write the artifact only.")] = False,
    key: KeyOption = None,
    reports: Annotated[
        Path | None,
        typer.Option(help="Folder for the image's signed report [evaluations beside images.lock.json]."),
    ] = None,
) -> None:
    """Write the model file, prove that it predicts the same, build the image, push it and record its digest.

    The signed report of an evaluated model then names the artifact and the image too.
    """
    from pipeline import packaging, provenance, signing

    with _problems():
        chosen = signing.chosen_key(key)
        target = packaging.Target(
            name, version, registry, base, push=not no_push, format=model_format, key=chosen, reports=reports
        )
        packaging.check_target(target)
        folder = provenance.build_folder(name, version)
        packaging.write_package(model, target, folder, Progress())
        typer.echo(str(folder / "artifact") if no_image else packaging.build_image(target, folder, Progress()))


@app.command()
def key(file: Annotated[Path, typer.Argument(help="File of the private key, made when there is none.")]) -> None:
    """Make a key that signs evaluation reports, and print the line for modelway:evaluation.publicKeys.

    Of a file that exists it prints the line again. The key is encrypted when MODELWAY_EVALUATION_KEY_PASSPHRASE is set.
    """
    from pipeline import signing

    with _problems():
        typer.echo(signing.public_line(file) if file.exists() else signing.create(file))


@app.command()
def example(
    registry: Annotated[str, typer.Option(help="Registry on this machine.")] = "127.0.0.1:5000",
) -> None:
    """Build breast-cancer v1 and v2 and push them; nothing is done when they are there already."""
    from pipeline.example import build_versions

    with _problems():
        build_versions(registry, Progress())


def _figures(verdict: "Evaluation") -> Iterator[str]:
    for name, interval in verdict.candidate.items():
        rival = f"   champion {verdict.champion[name]}" if verdict.champion else ""
        yield f"{name:9} {interval}{rival}"
    if verdict.test:
        yield str(verdict.test)
    if verdict.calibration:
        rival = f"   champion {verdict.champion_calibration.error}" if verdict.champion_calibration else ""
        yield f"{'calibration error':9} {verdict.calibration.error}{rival}"
    for part in verdict.slices:
        yield f"slice {part}"


def _floors(texts: list[str]) -> dict[str, float]:
    floors, problems = {}, []
    for text in texts:
        name, _, value = text.partition("=")
        try:
            floors[name] = float(value)
        except ValueError:
            allowed = "METRIC=VALUE, such as accuracy=0.9"
            problems.append(Problem("--floor", "is no floor", repr(text), allowed, "correct the option"))
    if problems:
        raise ProblemError(problems)
    return floors
