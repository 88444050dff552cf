"""KEDA, for versions that scale by more than CPU."""
