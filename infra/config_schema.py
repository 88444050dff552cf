"""The stack config as types: what each key means, its default and its bounds."""

import re
from enum import StrEnum
from typing import Annotated, Any

from modelway.serving.routes_checks import RESERVED_NAMES
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from infra.config_cluster import AnyCluster, ClusterSettings
from infra.config_cluster import Provider as Provider
from infra.config_cost import CostSettings
from infra.config_gateway import GatewaySettings, LimitSettings
from infra.config_ground import PrometheusOperatorImageSettings
from infra.config_logs import LogSettings
from infra.config_models import EvaluationSettings, ModelRegistrySettings
from infra.config_monitoring import MonitoringSettings
from infra.config_quality import QualitySettings
from infra.config_section import Section
from infra.config_traces import TraceSettings

DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


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


def _dns_label(value: str) -> str:
    if not DNS_LABEL.fullmatch(value):
        raise ValueError(
            "no DNS label|lower-case letters, digits and '-', a letter first, no '-' last, at most 63 characters|"
            "rename it"
        )
    return value


def _version_name(value: str) -> str:
    if value in RESERVED_NAMES:
        raise ValueError(f"reserved name|any DNS label but {', '.join(RESERVED_NAMES)}|rename it")
    return _dns_label(value)


def _quantity(value: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?(m|Ki|Mi|Gi|Ti)?", value):
        raise ValueError("no Kubernetes quantity|a number with m, Ki, Mi, Gi or Ti such as 500m or 512Mi|correct it")
    return value


DnsLabel = Annotated[str, AfterValidator(_dns_label)]
VersionName = Annotated[str, AfterValidator(_version_name)]
Quantity = Annotated[str, AfterValidator(_quantity)]


class RegistryProvider(StrEnum):
    """Whose registry the models' images are in."""

    EXISTING = "existing"
    ECR = "ecr"
    ARTIFACT_REGISTRY = "artifact-registry"


class RegistrySettings(Section):
    """`modelway:registry`: what pulls the models' images; nothing is needed for a public or local registry."""

    provider: Annotated[RegistryProvider, Field(strict=False)] = RegistryProvider.EXISTING
    """`ecr` and `artifact-registry` are made by the stack, beside a cluster of the same cloud."""
    url: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    push_role_arn: str | None = None
    """ECR: the one role that pushes."""
    repositories: list[str] | None = None
    """ECR: names of the images; unless set, those of the models."""
    prefix: str | None = None
    """ECR: first part of each repository's name."""
    push_service_account: str | None = None
    """Artifact Registry: the one service account that pushes."""
    repository: str | None = None
    """Artifact Registry: name of the repository."""


class CertManagerImageSettings(Section):
    """Images of cert-manager."""

    controller: str
    webhook: str
    cainjector: str
    startupapicheck: str
    acmesolver: str | None = None
    """For issuer acme."""


class KedaImageSettings(Section):
    """Images of KEDA."""

    operator: str
    metrics_server: str


class ImageSettings(Section):
    """`modelway:images`: the platform's own images; the node has its own builds of them."""

    gateway: str | None = None
    proxy: str | None = None
    prometheus: str | None = None
    alertmanager: str | None = None
    """Where monitoring has receivers."""
    log_collector: str | None = None
    """The OpenTelemetry Collector, where the stack has `logs`."""
    model_server: str | None = None
    """For versions that name a `model`: our server for their format; any image that `package` built is one."""
    rollout_judge: str | None = None
    """By digest; needed where a model has an experiment, on other clusters than the node."""
    cert_manager: CertManagerImageSettings | None = None
    keda: KedaImageSettings | None = None
    prometheus_operator: PrometheusOperatorImageSettings | None = None


class AutoscalingSettings(Section):
    """How many pods a version has; `modelway.serving.autoscaling_checks` says what fits together."""

    min_replicas: int
    max_replicas: int
    metric: str | None = None
    """cpu unless set; inFlight, queue or latency."""
    cpu_utilization_percent: int | None = None
    in_flight_requests_per_pod: float | None = None
    queued_rows_per_pod: float | None = None
    latency_seconds: float | None = None
    latency_quantile: float | None = None
    idle_seconds: int | None = None
    """How long without a request until there are no pods, where minReplicas is 0."""
    scale_down_stabilization_seconds: int | None = None


class FigureSource(StrEnum):
    """Where figures other than CPU come from."""

    KEDA = "keda"
    PODS = "pods"


class ScalingSettings(Section):
    """`modelway:autoscaling`: what scales versions by more than CPU."""

    metrics: Annotated[FigureSource, Field(strict=False)] = FigureSource.KEDA
    """keda asks Prometheus; pods is an adapter that the cluster has."""
    install_keda: bool | None = None
    """Whether the stack brings KEDA where a version needs it; true unless set."""


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
    keep_alive_seconds: int | None = None
    """How long the server keeps an idle connection; the gateway forgets its own long before."""


class FetchSettings(Section):
    """How pods reach the model that a version names; `modelway.serving.fetch_checks` says which source has what."""

    size_limit_mib: int | None = None
    """Most that the model may take; unless set: what the models lock says, else 2048."""
    credentials: SecretKeySettings | None = None
    """A file that only the init container sees; unless set: the workload identity."""
    endpoint: str | None = None
    """Of an S3 that is not Amazon's."""
    region: str | None = None
    volume_claim: str | None = None
    """What file:// is the root of."""
    egress_cidrs: list[str] | None = None
    """Networks of the source."""
    identity_annotations: dict[str, str] | None = None
    """Of the ServiceAccount, by which a cloud knows the pod."""


class VersionSettings(Section):
    """One version of a model: what it serves is part of `image`, or `model`, which its pods fetch."""

    name: VersionName
    image: str = ""
    """`REPOSITORY@sha256:…`, or outside production `NAME:TAG` of an image that `package` recorded in the lock file."""
    model: str | None = None
    """Folder of the artifact at s3://, gs://, https://, http:// or file:///, or `models:/NAME/VERSION` or
    `models:/NAME@ALIAS` of the models lock."""
    sha256: str | None = None
    """Of the artifact's manifest.json; not needed with models:/."""
    server_image: str | None = None
    """Image of our server that serves `model`; unless set: images.modelServer."""
    fetch: FetchSettings | None = None
    weight: Annotated[int, Field(ge=0, le=100)] | None = None
    shadow: bool = False
    """Whether it gets a copy of the split's predictions instead of a share, and answers its own URL only."""
    replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    autoscaling: AutoscalingSettings | None = None
    resources: ResourceSettings | None = None
    runtime: Annotated[RuntimeName, Field(strict=False)] = RuntimeName.MODELWAY
    container: ContainerSettings | None = None
    gpus: int | None = None
    """NVIDIA GPUs of each pod."""
    allow_pickle: bool = False
    """Whether the server may open pickle and joblib files, which can run any code; never in production."""


class StickySettings(Section):
    """What names a user, who then meets the same version each time; exactly one is set."""

    header: str | None = None
    cookie: str | None = None


class LatencySettings(Section):
    """At least `percent` of the answers come within `below_seconds`."""

    percent: float
    below_seconds: float


class SloSettings(Section):
    """What every version of a model promises; `modelway.monitoring.slo` says what can be measured."""

    availability_percent: float = 99.9
    latency: LatencySettings | None = None


class MetricSettings(Section):
    """One thing in which a candidate must not be worse; `modelway.rollout.plan` says what each kind counts."""

    kind: str
    margin: float = 0.01
    """How much larger its share may be for a promotion: 0.01 is one in a hundred."""
    threshold_seconds: float | None = None
    """Of latency: an answer that takes longer is slow."""
    name: str | None = None
    """Of outcome: one of feedbackOutcomes, whose values are 0 and 1."""


class ExperimentSettings(Section):
    """By which rules a judge compares a candidate with the champion; `modelway.rollout.plan` says what fits."""

    champion: str | None = None
    """Unless set: the version with weight 100."""
    candidate: str
    mode: str = "observe"
    """observe reports, guard rolls back, automatic steps forward and promotes as well."""
    steps: list[int] = Field(default_factory=lambda: [1, 10, 50, 100])
    """Weights of the candidate in percent; the last, 100, is the promotion."""
    metrics: list[MetricSettings] = Field(default_factory=list)
    alpha: float = 0.01
    """Probability that an equal candidate is ever rolled back."""
    shift_ratio: float = 3.0
    """A class whose odds differ by more than this factor is a shift of the predictions."""
    slow_seconds: float = 0.1
    """An answer that takes longer is slow, where no metric has a threshold."""
    minimum_trials: int = 500
    """Of each metric and version in a step."""
    step_seconds: float = 60.0
    """Shortest time in a step."""
    maximum_seconds: float = 86_400.0
    """Longest time in all; what is undecided then is rolled back."""
    warmup_seconds: float = 30.0
    """What a pod counts in its first seconds is left out."""
    expected_requests_per_second: float | None = None
    """Of the split: known, maximumSeconds is checked against the smallest sample."""
    drift_gate: bool | None = None
    """Whether a candidate whose predictions have drifted, by the model's `quality`, is held; false unless set."""


class IngressSettings(Section):
    """The Ingress controller that serves a model instead of the gateway."""

    class_name: str
    namespace: DnsLabel
    """Where the controller runs."""


class ModelSettings(Section):
    """One model."""

    name: DnsLabel
    versions: Annotated[list[VersionSettings], Field(min_length=1, max_length=8)]
    sticky: StickySettings | None = None
    """Unless set, each request of the split is drawn by itself."""
    aliases: dict[VersionName, str] = Field(default_factory=dict)
    """Versions by other names, in URLs and in the version header."""
    ingress: IngressSettings | None = None
    """A plain Ingress of another controller, for one version on a host of its own, instead of the gateway."""
    host: str | None = None
    path_prefix: Annotated[str, Field(pattern=r"^(/|(/[A-Za-z0-9._~-]+)+)$")] | None = None
    experiment: ExperimentSettings | None = None
    """Unless set, weights are those of the versions and nobody moves them."""
    roll_back_to: str | None = None
    """A version that gets the whole split, whatever the weights say, while no experiment runs."""
    drain_seconds: Annotated[int, Field(ge=0, le=600)] = 10
    feedback: bool = False
    """Whether `/NAME/feedback` takes what became of predictions."""
    feedback_outcomes: list[str] = Field(default_factory=list)
    """Names of the numbers that feedback may carry."""
    docs: bool = False
    """Whether `/NAME/VERSION/docs` is routed."""
    slo: SloSettings | None = None
    """Objective of each version, whose error budget alerts watch."""
    quality: QualitySettings | None = None
    """What each version promises about its predictions."""
    access: Annotated[Access, Field(strict=False)] | None = None
    """Unless set: keyed in production, public elsewhere."""
    limits: LimitSettings = LimitSettings()
    """Each that is set counts instead of the gateway's."""


class Settings(Section):
    """The whole stack config."""

    environment: Annotated[Environment, Field(strict=False)] = Environment.DEVELOPMENT
    cluster: AnyCluster
    gateway: GatewaySettings = GatewaySettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    logs: Annotated[LogSettings | None, BeforeValidator(lambda given: given or None)] = None
    """Unless set, logs stay on the nodes."""
    traces: Annotated[TraceSettings | None, BeforeValidator(lambda given: given or None)] = None
    """Unless set, there are no spans."""
    registry: RegistrySettings = RegistrySettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    model_registry: ModelRegistrySettings = ModelRegistrySettings()
    autoscaling: ScalingSettings = ScalingSettings()
    images: ImageSettings = ImageSettings()
    cost: CostSettings = CostSettings()
    policies: dict[str, Any] = Field(default_factory=dict)
    """Level and settings of single rules of the policy pack, by name; `modelway_policies.settings` says what fits."""
    models: Annotated[list[ModelSettings], Field(min_length=1)]

    @property
    def existing(self) -> ClusterSettings:
        """What the stack says of a cluster that it does not make in a cloud; nothing but the provider where it does."""
        found = self.cluster
        return found if isinstance(found, ClusterSettings) else ClusterSettings(provider=found.provider)
