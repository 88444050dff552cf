"""Whether this machine has anything that could be credentials of a cloud; none is read, let alone tried."""

import os
from collections.abc import Mapping
from pathlib import Path

from infra.config_cluster import Provider
from tools.problem import Problem

AWS_VARIABLES = (
    *("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
)
"""Each begins one of the ways of AWS's SDKs
(https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html)."""
GOOGLE_VARIABLES = (
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON"),
    "GOOGLE_OAUTH_ACCESS_TOKEN",
)
"""As the provider reads them (https://www.pulumi.com/registry/packages/gcp/installation-configuration/)."""
MACHINE = Path("/sys/class/dmi/id/product_name")
VENDOR = Path("/sys/class/dmi/id/sys_vendor")
"""A machine of the cloud itself has credentials from its metadata server."""


def credential_problems(
    provider: Provider, environment: Mapping[str, str] = os.environ, home: Path | None = None
) -> list[Problem]:
    """One sentence where there is nothing to try on this machine."""
    home = home or Path.home()
    if provider is Provider.EKS and not _aws(environment, home):
        got = "none in the environment, no ~/.aws, no machine of AWS"
        allowed = "AWS_PROFILE, AWS_ACCESS_KEY_ID or a web identity"
        return [Problem("AWS", "no credentials on this machine", got, allowed, "run `aws sso login`, or set them")]
    if provider is Provider.GKE and not _google(environment, home):
        got = "none in the environment or of gcloud, no machine of Google Cloud"
        allowed = "application default credentials"
        fix = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
        return [Problem("Google Cloud", "no credentials on this machine", got, allowed, fix)]
    return []


def _aws(environment: Mapping[str, str], home: Path) -> bool:
    files = (
        Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws/credentials"),
        Path(environment.get("AWS_CONFIG_FILE") or home / ".aws/config"),
    )
    named = any(environment.get(name) for name in AWS_VARIABLES)
    return named or any(file.is_file() for file in files) or _says(VENDOR, "Amazon")


def _google(environment: Mapping[str, str], home: Path) -> bool:
    folder = Path(environment.get("CLOUDSDK_CONFIG") or home / ".config/gcloud")
    named = any(environment.get(name) for name in GOOGLE_VARIABLES)
    return named or (folder / "application_default_credentials.json").is_file() or _says(MACHINE, "Google")


def _says(file: Path, maker: str) -> bool:
    try:
        return maker in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
