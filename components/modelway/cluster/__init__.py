"""Clusters: an existing one by kubeconfig, or kind on this machine."""
