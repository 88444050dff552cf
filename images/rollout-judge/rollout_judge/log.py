"""Log lines as JSON objects on standard error."""

import json
import sys
import time
from typing import TextIO

LEVELS = ("info", "warning", "error")


class Log:
    """Writes one line per event."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream

    def event(self, name: str, level: str = "info", **fields: object) -> None:
        """Write what happened."""
        moment = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
        line = {"time": f"{stamp}.{int(moment * 1000) % 1000:03d}Z", "level": level, "event": name, **fields}
        print(json.dumps(line, default=str), file=self._stream, flush=True)
