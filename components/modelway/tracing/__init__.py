"""Spans of the gateway and of the model servers: from each of them to a collector."""
