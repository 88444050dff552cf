"""Identities of what is not a pod: continuous integration."""
