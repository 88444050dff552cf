"""The gateway: Envoy Gateway and the one Gateway object that all models share."""
