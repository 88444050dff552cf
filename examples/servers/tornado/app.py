"""A model behind Tornado: predictions on one port, metrics and health on another."""

import asyncio
import os
import signal

from model import MODEL, VERSION
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from tornado.web import Application, RequestHandler

stopping = asyncio.Event()
running: set[RequestHandler] = set()


class Predict(RequestHandler):
    """A prediction for one row or many."""

    async def post(self) -> None:
        """Answer in a thread, so that probes are answered meanwhile."""
        running.add(self)
        try:
            status, answer = await asyncio.to_thread(MODEL.respond, self.request.body)
            self.set_status(status)
            self.set_header("content-type", "application/json")
            self.set_header("x-modelway-version", VERSION)
            await self.finish(answer)
        finally:
            running.discard(self)


class Health(RequestHandler):
    """200 while the process is well."""

    def get(self) -> None:
        """For Kubernetes."""
        self.finish("ok")


class Ready(RequestHandler):
    """200 until SIGTERM."""

    def get(self) -> None:
        """For Kubernetes."""
        self.set_status(503 if stopping.is_set() else 200)


class Metrics(RequestHandler):
    """For Prometheus."""

    def get(self) -> None:
        """The page."""
        self.set_header("content-type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest())


async def main() -> None:
    """Serve until SIGTERM, then answer what has begun."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    # Tornado keeps idle connections for an hour, longer than the gateway does.
    server = Application([("/predict", Predict)]).listen(int(os.environ.get("PORT", "8080")))
    admin = [("/healthz", Health), ("/readyz", Ready), ("/metrics", Metrics)]
    Application(admin).listen(int(os.environ.get("ADMIN_PORT", "9090")))
    await stopping.wait()
    server.stop()
    while running:
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
