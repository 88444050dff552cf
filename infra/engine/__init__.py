"""Runs the Pulumi engine on a stack: work folder, backend, locks, live progress and errors as sentences."""
