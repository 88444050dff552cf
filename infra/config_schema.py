"""The stack config as types: what each key means, its default and its bounds."""

import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from infra.config_gateway import GatewaySettings, LimitSettings
from infra.config_section import Section

DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
RESERVED_VERSIONS = ("docs", "feedback", "models", "predict", "split")


class Environment(StrEnum):
    """How careful the stack is."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class RuntimeName(StrEnum):
    """What serves a version."""

    MODELWAY = "modelway"
    CONTAINER = "container"
    MLSERVER = "mlserver"
    TRITON = "triton"
    VLLM = "vllm"


class Access(StrEnum):
    """Who reaches a model."""

    PUBLIC = "public"
    """Everyone."""
    KEYED = "keyed"
    """Who has an API key or a token."""
    INTERNAL = "internal"
    """Pods of the cluster, through a gateway of their own."""


class Provider(StrEnum):
    """Where the models run."""

    NODE = "node"
    KIND = "kind"
    EXISTING = "existing"


def _dns_label(value: str) -> str:
    if not DNS_LABEL.fullmatch(value):
        raise ValueError(
            "no DNS label|lower-case letters, digits and '-', a letter first, no '-' last, at most 63 characters|"
            "rename it"
        )
    return value


def _version_name(value: str) -> str:
    if value in RESERVED_VERSIONS:
        raise ValueError(f"reserved name|any DNS label but {', '.join(RESERVED_VERSIONS)}|rename the version")
    return _dns_label(value)


def _quantity(value: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?(m|Ki|Mi|Gi|Ti)?", value):
        raise ValueError("no Kubernetes quantity|a number with m, Ki, Mi, Gi or Ti such as 500m or 512Mi|correct it")
    return value


DnsLabel = Annotated[str, AfterValidator(_dns_label)]
VersionName = Annotated[str, AfterValidator(_version_name)]
Quantity = Annotated[str, AfterValidator(_quantity)]


class ClusterSettings(Section):
    """`modelway:cluster`."""

    provider: Annotated[Provider, Field(strict=False)]
    kubeconfig: str | None = None
    """Path of the kubeconfig of an existing cluster."""
    context: str | None = None
    identifier: str | None = None


class MonitoringSettings(Section):
    """`modelway:monitoring`."""

    enabled: bool = True
    retention_hours: Annotated[int, Field(ge=1, le=8760)] = 24
    storage_mb: Annotated[int, Field(ge=256)] = 2048


class RegistrySettings(Section):
    """`modelway:registry`: what pulls the models' images; nothing is needed for a public or local registry."""

    url: str | None = None
    username: str | None = None
    password: SecretStr | None = None


class CertManagerImageSettings(Section):
    """Images of cert-manager."""

    controller: str
    webhook: str
    cainjector: str
    startupapicheck: str
    acmesolver: str | None = None
    """For issuer acme."""


class ImageSettings(Section):
    """`modelway:images`: the platform's own images; the node has its own builds of them."""

    gateway: str | None = None
    proxy: str | None = None
    prometheus: str | None = None
    cert_manager: CertManagerImageSettings | None = None


class AutoscalingSettings(Section):
    """Bounds of the number of pods of a version."""

    min_replicas: Annotated[int, Field(ge=1, le=1000)]
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    cpu_utilization_percent: Annotated[int, Field(ge=1, le=100)] = 70


class ResourceSettings(Section):
    """Requests and limits of a version's server; what is left out is what the runtime needs at least."""

    cpu_request: Quantity | None = None
    cpu_limit: Quantity | None = None
    memory_request: Quantity | None = None
    memory_limit: Quantity | None = None


class SecretKeySettings(Section):
    """One key of a Secret in the models' namespace."""

    secret: str
    key: str


class ContainerSettings(Section):
    """How a foreign server is started and asked; `modelway.serving.runtime_checks` says which runtime has what."""

    port: int | None = None
    admin_port: int | None = None
    """It may be `port`: its paths are not routed even then."""
    predict_path: str | None = None
    ready_path: str | None = None
    health_path: str | None = None
    metrics_path: str | None = None
    open_inference: bool | None = None
    """Whether the server speaks the Open Inference Protocol under `/v2` as well."""
    command: list[str] | None = None
    args: list[str] | None = None
    env: dict[str, str] | None = None
    secret_files: dict[str, SecretKeySettings] | None = None
    """Keys of Secrets as files, by the variable that holds the file's path."""
    user_id: int | None = None
    writable_paths: list[str] | None = None
    """Folders besides `/tmp` that are empty in each new pod."""
    model_path: str | None = None
    """Path of the model in the image of a preset."""
    startup_seconds: int | None = None


class VersionSettings(Section):
    """One version of a model."""

    name: VersionName
    image: str
    """`REPOSITORY@sha256:…`, or outside production `NAME:TAG` of an image that `package` recorded in the lock file."""
    weight: Annotated[int, Field(ge=0, le=100)] | None = None
    replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    autoscaling: AutoscalingSettings | None = None
    resources: ResourceSettings | None = None
    runtime: Annotated[RuntimeName, Field(strict=False)] = RuntimeName.MODELWAY
    container: ContainerSettings | None = None
    gpus: int | None = None
    """NVIDIA GPUs of each pod."""
    allow_pickle: bool = False
    """Whether the server may open pickle and joblib files, which can run any code; never in production."""


class ModelSettings(Section):
    """One model."""

    name: DnsLabel
    versions: Annotated[list[VersionSettings], Field(min_length=1, max_length=8)]
    host: str | None = None
    path_prefix: Annotated[str, Field(pattern=r"^(/|(/[A-Za-z0-9._~-]+)+)$")] | None = None
    drain_seconds: Annotated[int, Field(ge=0, le=600)] = 10
    feedback: bool = False
    """Whether `/NAME/feedback` takes what became of predictions."""
    feedback_outcomes: list[str] = Field(default_factory=list)
    """Names of the numbers that feedback may carry."""
    docs: bool = False
    """Whether `/NAME/VERSION/docs` is routed."""
    access: Annotated[Access, Field(strict=False)] | None = None
    """Unless set: keyed in production, public elsewhere."""
    limits: LimitSettings = LimitSettings()
    """Each that is set counts instead of the gateway's."""


class Settings(Section):
    """The whole stack config."""

    environment: Annotated[Environment, Field(strict=False)] = Environment.DEVELOPMENT
    cluster: ClusterSettings
    gateway: GatewaySettings = GatewaySettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    registry: RegistrySettings = RegistrySettings()
    images: ImageSettings = ImageSettings()
    policies: dict[str, Any] = Field(default_factory=dict)
    """Level and settings of single rules of the policy pack, by name; `modelway_policies.settings` says what fits."""
    models: Annotated[list[ModelSettings], Field(min_length=1)]
