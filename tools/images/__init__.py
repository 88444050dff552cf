"""Container images without an image registry to pull from: a builder for Dockerfiles, and what the node ground runs."""

from tools.images.builder import build, push
from tools.images.system import node_archives, system_images

__all__ = ["build", "node_archives", "push", "system_images"]
