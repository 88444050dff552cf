"""Decides whether a candidate version of a model is promoted, held or rolled back."""
