"""A receiver of alerts at an address of the node: `hook.py ADDRESS`.

Prints its URL, then a line `SECONDS JSON` for each notification, by the clock that no machine sets back, until it ends
with its standard input.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hook(BaseHTTPRequestHandler):
    """Answers every notification."""

    def do_POST(self) -> None:
        """Print it."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(time.monotonic(), json.dumps(body), flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def main(address: str) -> None:
    """Serve until standard input ends."""
    server = ThreadingHTTPServer((address, 0), Hook)
    print(f"http://{address}:{server.server_address[1]}/alerts", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
