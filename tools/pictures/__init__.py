"""Draws the dashboards from a live Prometheus, where no Grafana is at hand: `python -m tools.pictures`."""
