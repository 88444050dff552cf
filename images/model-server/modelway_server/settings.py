"""Settings of the server, read once from environment variables."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelway_server.startup import StartupError, sentence

PREFIX = "MODELWAY_"

Port = Annotated[int, Field(ge=1, le=65535)]
Label = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
PositiveSeconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Settings(BaseModel):
    """Each field is the environment variable `MODELWAY_` + its name in capitals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Label | None = None
    """Name of the model in answers and metrics. Defaults to the name that the artifact was packaged under."""
    version: Label | None = None
    """Name of the version in answers and metrics. Defaults to the version that the artifact was packaged under."""
    model_dir: Path = Path("/model")
    """Folder of the artifact: `model.onnx`, `signature.json`, `manifest.json`."""
    host: str = "127.0.0.1"
    """Address that both ports listen on. The image sets `0.0.0.0`."""
    port: Port = 8080
    """Port of the predictions and of `/docs`."""
    admin_port: Port = 9090
    """Port of `/metrics`, `/healthz` and `/readyz`, never routed to users."""
    root_path: Annotated[str, Field(pattern=r"^(/[^?#\s]*[^/?#\s])?$")] = ""
    """Prefix that a gateway strips, shown in `/docs`. Empty: the paths are relative to where `/docs` was found."""
    max_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Rows that one request may carry."""
    max_body_bytes: Annotated[int, Field(ge=1, le=2**30)] = 2**20
    """Size that a request body may have, counted while it is read."""
    max_header_bytes: Annotated[int, Field(ge=1024, le=2**20)] = 2**14
    """Size that the request line and the headers may have together."""
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """Connections that one worker holds open at once."""
    max_concurrency: Annotated[int, Field(ge=1, le=100_000)] = 512
    """Requests that one worker answers at once; more are refused with 503."""
    max_queue_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    """Rows that may wait for the model; requests beyond are refused with 503."""
    max_batch_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    """Rows of several waiting requests that a slow model is asked at once. 1: each request alone."""
    batch_wait_microseconds: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """How long a lone request waits for company. 0: what has gathered while the model was busy is a batch."""
    predict_timeout_seconds: PositiveSeconds = 30.0
    """How long a request may wait for the model before it is answered with 504."""
    header_timeout_seconds: PositiveSeconds = 10.0
    """Time that a client may take to send request line and headers, from the connection on."""
    body_timeout_seconds: PositiveSeconds = 30.0
    """Time that a client may take to send one body."""
    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = 75
    """How long an idle connection stays open; longer than the gateway's idle timeout, or rollouts fail at random."""
    drain_seconds: Seconds = 5.0
    """How long the server still accepts requests after SIGTERM, while endpoints and gateways forget it."""
    shutdown_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    """How long requests in flight may take after the drain before they are cut."""
    workers: Annotated[int, Field(ge=1, le=256)] | None = None
    """Processes that share the port. Defaults to the CPUs that the container may use, rounded down, at least 1."""
    access_log: bool = False
    """One JSON line per request with the ids of its predictions, without feature values."""
    log_features: bool = False
    """Feature values in the access log as well; they may be personal data."""
    traces_url: Annotated[str, Field(pattern=r"^http://[A-Za-z0-9._\[\]:-]+:[0-9]{1,5}$")] | None = None
    """Collector, `http://HOST:PORT`, that gets a span of each request whose `traceparent` is sampled, by OTLP."""
    api_key_file: Path | None = None
    """File with one `name:sha256` (hex) per line: requests need one of these keys. Read again when it changes."""
    feedback_key_file: Path | None = None
    """File with one key (base64 or hex, at least 32 bytes) per line: signs prediction ids and opens `/feedback`."""
    feedback_expiry_seconds: Annotated[float, Field(gt=0, le=366 * 86400, allow_inf_nan=False)] = 30 * 86400.0
    """Age at which a prediction takes no more feedback."""
    feedback_outcomes: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{0,39}(,[a-z][a-z0-9_]{0,39}){0,19})?$")] = ""
    """Names of the outcomes that `/feedback` takes, by commas, at most 20."""
    subjects: bool = False
    """Count subjects, for an experiment; see `subjects.py`."""
    subject_header: HeaderName | None = None
    """Header with the user's key, that of the sticky split. Without a key each request is a subject."""
    subject_cookie: HeaderName | None = None
    """Cookie with the user's key, instead of a header."""
    slow_seconds: PositiveSeconds | None = None
    """An answer that takes longer is slow for its subject. None: slow ones are not counted."""
    shadow: bool = False
    """This version gets copies of what the split sends to others, byte for byte: they count as `shadow`."""
    allow_pickle: bool = False
    """Open pickle and joblib files, which can run any code."""


def load(environment: Mapping[str, str]) -> Settings:
    """Settings from `environment`; raises `StartupError` with every problem found."""
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    raw = {name: environment[variable] for variable, name in known.items() if environment.get(variable)}
    reasons = _misspelt(environment, list(known))
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        raise StartupError([*reasons, *map(_reason, error.errors())]) from None
    if settings.port == settings.admin_port:
        reasons.append(
            sentence(
                "MODELWAY_ADMIN_PORT",
                "is the port of the predictions",
                str(settings.port),
                "a port of its own",
                "choose another",
            )
        )
    reasons += _subject_reasons(settings)
    if reasons:
        raise StartupError(reasons)
    return settings


def _subject_reasons(settings: Settings) -> list[str]:
    """What is wrong with the settings of subjects."""
    reasons = []
    if settings.subject_header and settings.subject_cookie:
        reasons.append(
            sentence(
                "MODELWAY_SUBJECT_COOKIE",
                "a user has one key",
                f"{settings.subject_cookie} beside MODELWAY_SUBJECT_HEADER={settings.subject_header}",
                "one of the two",
                "leave out the one that the split does not use",
            )
        )
    if settings.subjects and settings.shadow:
        reasons.append(
            sentence(
                "MODELWAY_SHADOW",
                "a shadow answers nobody, so it has no subjects",
                "true beside MODELWAY_SUBJECTS=true",
                "one of the two",
                "leave out the one that the version is not",
            )
        )
    for name in ("subject_header", "subject_cookie", "slow_seconds"):
        value = getattr(settings, name)
        if value is not None and not settings.subjects:
            reasons.append(
                sentence(
                    PREFIX + name.upper(),
                    "says how to count subjects, which are not counted",
                    str(value),
                    "beside MODELWAY_SUBJECTS=true",
                    "set that, or leave this out",
                )
            )
    return reasons


def _misspelt(environment: Mapping[str, str], known: list[str]) -> list[str]:
    # Kubernetes adds MODELWAY_*_SERVICE_HOST and the like for Services in the namespace, so only
    # a variable that nearly is one of ours is a mistake.
    reasons = []
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in known:
            close = difflib.get_close_matches(variable, known, n=1, cutoff=0.88)
            if close:
                reasons.append(f"{variable}: unknown setting: did you mean {close[0]}?")
    return reasons


def _reason(error: object) -> str:
    if not isinstance(error, dict):
        raise TypeError(f"not a validation error: {error!r}")
    name = str(error["loc"][0])
    return sentence(
        PREFIX + name.upper(),
        "not a usable value",
        repr(error["input"]),
        _allowed(str(error["msg"])),
        "correct the variable or leave it out for the default",
    )


def _allowed(message: str) -> str:
    text = message.removeprefix("Input should be ").removeprefix("String should ")
    return text[:1].lower() + text[1:]
