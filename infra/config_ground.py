"""The stack config of the monitoring's ground, as types."""

from enum import StrEnum

from infra.config_section import Section


class MonitoringGround(StrEnum):
    """What runs Prometheus."""

    PLAIN = "plain"
    KUBE_PROMETHEUS_STACK = "kubePrometheusStack"


class PrometheusOperatorImageSettings(Section):
    """Images of ground kubePrometheusStack, beside that of Prometheus."""

    operator: str
    config_reloader: str
