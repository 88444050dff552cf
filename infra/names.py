"""Names that more than one room of the program uses."""

MODELS_NAMESPACE = "modelway-models"
"""Namespace of every model server."""
