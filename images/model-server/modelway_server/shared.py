"""Memory that the workers of one pod share, with a lock: made before they are forked."""

import fcntl
import mmap
import os
import tempfile
import threading


class SharedMemory:
    """`size` bytes, zero at first; `with memory:` keeps everyone else out. What is never written is never resident."""

    def __init__(self, name: str, size: int) -> None:
        """`name`: shown by the system among the files of the process."""
        self._file = _anonymous_file(name, size)
        self.bytes = mmap.mmap(self._file, size)
        """The memory."""
        self._threads = threading.Lock()

    def __enter__(self) -> None:
        """Keep out all other threads and processes."""
        self._threads.acquire()
        # Between processes a lock of the kernel: it ends with the process that holds it, however that ends.
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)
        self._threads.release()


def _anonymous_file(name: str, size: int) -> int:
    if hasattr(os, "memfd_create"):
        file = os.memfd_create(f"modelway-{name}")
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    os.ftruncate(file, size)
    return file
