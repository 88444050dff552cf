"""Logs of the models and of the gateway: from the nodes to where they are searched."""
