"""Registries that hold the images of model servers."""
