"""Where a model is fetched from: object stores by obstore, a plain client for HTTP, and folders of a volume."""

import configparser
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from obstore.store import ObjectStore

CHUNK_BYTES = 2**20
TIMEOUT_SECONDS = 60
"""For one answer's next bytes; a whole file may take longer."""
RETRIES = 3

Source = Callable[[str], Iterator[bytes]]
"""The content of a file of the artifact, in chunks; raises `SourceError`."""


class SourceError(Exception):
    """A file cannot be fetched, and why; `fix` says what to look at."""

    def __init__(self, reason: str, fix: str = "check the source and who may read it") -> None:
        super().__init__(reason)
        self.fix = fix


class Place(Protocol):
    """What is said about a source."""

    @property
    def source(self) -> str:
        """`SCHEME://…` without a slash at its end."""

    @property
    def credentials_file(self) -> Path | None:
        """None: what the platform gives the pod."""

    @property
    def endpoint(self) -> str | None:
        """Of an S3 that is not Amazon's."""

    @property
    def region(self) -> str | None:
        """Of the bucket."""

    @property
    def file_root(self) -> Path:
        """Where `file://` begins."""


def source_of(place: Place) -> Source:
    """How the files below `place.source` are read."""
    scheme, _, rest = place.source.partition("://")
    if scheme == "file":
        return _folder(place.file_root, rest)
    if scheme in ("http", "https"):
        return _web(place.source, place.credentials_file)
    bucket, _, prefix = rest.partition("/")
    return _bucket(lambda: (_s3 if scheme == "s3" else _gcs)(place, bucket, prefix))


def _folder(root: Path, path: str) -> Source:
    def read(name: str) -> Iterator[bytes]:
        file = (root / path.lstrip("/") / name).resolve()
        if not file.is_relative_to(root.resolve()):
            raise SourceError("it leads out of the volume")
        try:
            with file.open("rb") as opened:
                while chunk := opened.read(CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise SourceError((error.strerror or str(error)).lower()) from None

    return read


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses to follow: the credentials would go with it, to whoever is named there."""

    def redirect_request(self, *_: Any) -> None:
        """Nowhere."""
        return


def _web(url: str, credentials: Path | None) -> Source:
    opener = urllib.request.build_opener(_NoRedirect)

    def read(name: str) -> Iterator[bytes]:
        request = urllib.request.Request(f"{url}/{name}")  # noqa: S310
        if credentials is not None:
            request.add_header("Authorization", _text(credentials).strip())
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                while chunk := answer.read(CHUNK_BYTES):
                    yield chunk
        except urllib.error.HTTPError as error:
            reason = f"status {error.code}"
            error.close()
            raise SourceError(reason) from None
        except (OSError, HTTPException, ValueError) as error:
            raise SourceError(_line(error)) from None

    return read


def _bucket(opened: "Callable[[], ObjectStore]") -> Source:
    def read(name: str) -> Iterator[bytes]:
        import obstore
        from obstore.exceptions import BaseError

        try:
            for chunk in obstore.get(opened(), name).stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)
        except (BaseError, OSError, ValueError) as error:
            raise SourceError(_line(error)) from None

    return read


def _options(allow_http: bool) -> dict[str, Any]:
    """What all object stores get."""
    return {
        "client_options": {
            "timeout": timedelta(minutes=30),
            "connect_timeout": timedelta(seconds=10),
            "read_timeout": timedelta(seconds=TIMEOUT_SECONDS),
            "allow_http": allow_http,
        },
        "retry_config": {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=TIMEOUT_SECONDS)},
    }


def _s3(place: Place, bucket: str, prefix: str) -> "ObjectStore":
    from obstore.store import S3Store

    config: dict[str, str] = {}
    if place.endpoint is not None:
        config["endpoint"] = place.endpoint
    if place.region is not None:
        config["region"] = place.region
    if place.credentials_file is not None:
        config |= _aws_keys(place.credentials_file)
    allow_http = (place.endpoint or "").startswith("http://")
    return S3Store(bucket, prefix=prefix or None, config=config, **_options(allow_http))  # type: ignore[arg-type]


def _aws_keys(file: Path) -> dict[str, str]:
    """Keys of the profile `default` of a file as the AWS CLI writes it."""
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    fix = "write an AWS credentials file with [default], aws_access_key_id and aws_secret_access_key"
    try:
        parser.read_string(_text(file))
        section = parser["default"]
        keys = {name: section[f"aws_{name}"] for name in ("access_key_id", "secret_access_key")}
    except (configparser.Error, KeyError):
        # Their texts may hold what the file holds.
        raise SourceError(f"{file} is no AWS credentials file", fix) from None
    token = section.get("aws_session_token")
    return keys | ({"session_token": token} if token else {})


def _gcs(place: Place, bucket: str, prefix: str) -> "ObjectStore":
    from obstore.store import GCSStore

    config = {} if place.credentials_file is None else {"service_account_key": _text(place.credentials_file)}
    return GCSStore(bucket, prefix=prefix or None, config=config, **_options(False))  # type: ignore[arg-type]


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "no text").lower()
        raise SourceError(f"the credentials {file} cannot be read ({reason})", "mount the Secret") from None


def _line(error: BaseException) -> str:
    """The first line of what a library says."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
