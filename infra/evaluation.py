"""The evaluation gate of a stack: a version is deployed only with a signed report that it passed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.config_schema import Environment, Settings
from pipeline import attestation, signing
from tools.paths import accepted_dir, evaluations_dir
from tools.problem import Problem, ProblemError

WHERE = "modelway:evaluation"
LOCAL = "local"
"""Stands for the key of this machine, which `pipeline` makes at first use."""


def is_required(settings: Settings) -> bool:
    """Whether versions need a report: in production, and wherever a key is named, unless the config says otherwise."""
    wanted = settings.evaluation.required
    if wanted is None:
        return settings.environment is Environment.PRODUCTION or bool(settings.evaluation.public_keys)
    return wanted


def evaluation_problems(settings: Settings) -> list[Problem]:
    """What is wrong with `modelway:evaluation` itself."""
    evaluation, required = settings.evaluation, is_required(settings)
    problems = [*_key_problems(settings), *_exemption_problems(settings)]
    if required and not evaluation.public_keys:
        place = "in a production stack" if evaluation.required is None else "with required: true"
        allowed = "the line that `python -m pipeline key FILE` prints, or required: false"
        fix = "name the key that signs your evaluation reports"
        problems.append(Problem(f"{WHERE}.publicKeys", f"missing {place}", "no key", allowed, fix))
    for name, value in (("publicKeys", evaluation.public_keys), ("exempt", evaluation.exempt)):
        if value and not required:
            got = f"{len(value)} with no report required"
            fix = f"remove {name}, or required: false"
            problems.append(Problem(f"{WHERE}.{name}", "does nothing", got, "only where reports are required", fix))
    return problems


def _key_problems(settings: Settings) -> list[Problem]:
    keys, problems = settings.evaluation.public_keys, []
    for index, line in enumerate(keys):
        where = f"{WHERE}.publicKeys[{index}]"
        if line == LOCAL and settings.environment is Environment.PRODUCTION:
            allowed = "the line of a key that CI keeps"
            problems.append(Problem(where, "trusts one machine in a production stack", LOCAL, allowed, "name that key"))
        elif line != LOCAL and (problem := attestation.check_key(where, line)):
            problems.append(problem)
    if len(set(keys)) < len(keys):
        problems.append(Problem(f"{WHERE}.publicKeys", "key named twice", repr(keys[0]), "each key once", "remove one"))
    return problems


def _exemption_problems(settings: Settings) -> list[Problem]:
    known = [f"{model.name}.{version.name}" for model in settings.models for version in model.versions]
    problems = []
    for name, reason in settings.evaluation.exempt.items():
        where = f"{WHERE}.exempt.{name}"
        if name not in known:
            problems.append(Problem(where, "no such version", repr(name), ", ".join(known), "correct or remove it"))
        if not reason.strip():
            problems.append(Problem(where, "has no reason", repr(reason), "a sentence", "say why it needs no report"))
    return problems


def report_problems(
    settings: Settings, digests: Mapping[tuple[str, str], str], folders: Sequence[Path] | None = None
) -> list[Problem]:
    """One problem per version whose report is missing, unsigned, changed, by another key, on another digest or failed.

    `digests`: sha256 of what is deployed, by model and version: of the image, or of a model that pods fetch.
    `folders` are searched in turn for the report; unless given, the checkout's and the one of this machine.
    """
    if not is_required(settings):
        return []
    try:
        lines = [_public_line(line) for line in settings.evaluation.public_keys]
    except ProblemError as error:
        return list(error.problems)
    places = [accepted_dir(), evaluations_dir()] if folders is None else list(folders)
    problems = []
    for (model, version), sha256 in digests.items():
        if f"{model}.{version}" in settings.evaluation.exempt:
            continue
        problem = _report_problem(f"modelway:models {model}.{version}", sha256, lines, places)
        problems += [problem] if problem else []
    return problems


def _report_problem(where: str, sha256: str, lines: Sequence[str], places: Sequence[Path]) -> Problem | None:
    """What is wrong with the report on what has this sha256; of several reports one that is right is enough."""
    name = attestation.envelope_name(sha256)
    refusal: attestation.RefusalError | None = None
    for folder in places:
        try:
            attestation.check((folder / name).read_bytes(), sha256, lines)
        except FileNotFoundError:
            continue
        except OSError as error:
            got = (error.strerror or "unreadable").lower()
            refusal = attestation.RefusalError("cannot be read", got, "a readable file")
        except attestation.RefusalError as error:
            refusal = error
        else:
            return None
    if refusal is None:
        got = f"no {name[:12]}….dsse.json in {' or '.join(map(str, places))}"
        fix = "run `python -m pipeline evaluate` and `package` with the key, or commit the report that CI made"
        return Problem(where, "has no evaluation report", got, "a report signed by a key of this stack", fix)
    fix = "evaluate and package the version again with the key of this stack"
    return Problem(where, f"evaluation report {refusal.what}", refusal.got, refusal.allowed, fix)


def _public_line(line: str) -> str:
    if line != LOCAL:
        return line
    try:
        return signing.public_file(signing.local_key()).read_text().strip()
    except OSError:
        got, fix = "no key on this machine", "run `python -m pipeline example` or `evaluate`, which makes one"
        raise ProblemError([Problem(f"{WHERE}.publicKeys", "local key is missing", got, "a key", fix)]) from None
