"""Names that more than one room of the program uses."""

MODELS_NAMESPACE = "modelway-models"
"""Namespace of every model server."""
GATEWAY_NAMESPACE = "modelway-gateway"
GATEWAY_NAME = "modelway"
"""Defaults of the component `Gateway`, which the program leaves as they are."""
MONITORING_NAMESPACE = "modelway-monitoring"
"""Default of the component `MonitoringStack`, which the program leaves as it is."""
