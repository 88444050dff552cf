"""Stand-in for the official Kubernetes plugin, for machines that cannot download it; see ../README.md."""
