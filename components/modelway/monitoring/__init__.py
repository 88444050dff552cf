"""Prometheus for the model servers and the gateway."""
