"""A collector of spans for tests, which says what it got; not part of the image."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from typing import Any

DEADLINE_SECONDS = 20.0


@dataclass
class Collector:
    """What arrives, in the order in which it does."""

    url: str
    requests: "Queue[tuple[str, str, Any]]"
    """Path, content type and body of each request."""

    def spans(self, count: int) -> list[dict[str, Any]]:
        """The next spans, as soon as there are `count`; each with its resource."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            _, _, body = self.requests.get(timeout=DEADLINE_SECONDS)
            found += spans_of(body)
        return found


def spans_of(body: Any) -> list[dict[str, Any]]:
    """Spans of one request, attributes as plain maps and the resource's among them."""
    return [
        {**span, "attributes": plain(span["attributes"]), "resource": plain(resource["resource"]["attributes"])}
        for resource in body["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def plain(attributes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Attributes as a map."""
    return {each["key"]: _value(each["value"]) for each in attributes}


def _value(value: dict[str, Any]) -> Any:
    if "arrayValue" in value:
        return [_value(each) for each in value["arrayValue"]["values"]]
    return int(value["intValue"]) if "intValue" in value else value["stringValue"]


@contextmanager
def collecting(codes: Sequence[int] = (), answer: bytes = b"{}", port: int = 0) -> Iterator[Collector]:
    """A collector that answers with `codes` first and with 200 and `answer` then."""
    first, requests = iter(codes), Queue[tuple[str, str, Any]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(next(first, 200))
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            requests.put((self.path, self.headers["content-type"], body))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Collector(f"http://127.0.0.1:{server.server_port}", requests)
        finally:
            server.shutdown()
            thread.join()
