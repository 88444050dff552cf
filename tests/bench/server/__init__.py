"""The model server against others, as ratios within one run: `make bench-server`."""
