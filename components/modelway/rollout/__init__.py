"""Guarded rollouts: a judge that compares two versions and moves the weights between them."""
