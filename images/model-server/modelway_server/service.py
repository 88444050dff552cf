"""What every part of the running server shares: the model, its names, its metrics and its phase."""

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Any

from modelway_server.metrics import Metrics
from modelway_server.model import Model, Output
from modelway_server.requests import RequestParser
from modelway_server.settings import Settings

INLINE_SECONDS = 0.001


class Phase(Enum):
    """Life of the server: readiness is true in `SERVING` only."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Service:
    """One model version, ready to answer."""

    def __init__(self, settings: Settings, model: Model) -> None:
        self.settings = settings
        self.model = model
        self.name = settings.model or model.manifest.name
        self.version = settings.version or model.manifest.version
        self.phase = Phase.STARTING
        self.parser = RequestParser(model.signature, settings.max_rows)
        self.metrics = Metrics(self.name, self.version, model.digest, model.signature.classes)
        self._inline_rows = settings.max_rows
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="predict")

    def warm_up(self) -> None:
        """Predict once and measure, before the first request waits for it."""
        self.model.warm_up(1)
        seconds = self.model.warm_up(self.settings.max_rows)
        if seconds > INLINE_SECONDS:
            # Health checks share the event loop: what would hold it up runs in the one thread beside it.
            self._inline_rows = max(1, int(self.settings.max_rows * INLINE_SECONDS / seconds))

    async def predict(self, body: bytes) -> dict[str, Any]:
        """Answer to a request body; raises `ApiError` for a body that does not fit the signature."""
        rows, many = self.parser.parse(body)
        if len(rows) <= self._inline_rows:
            output = self.model.predict(rows)
        else:
            loop = asyncio.get_running_loop()
            output = await loop.run_in_executor(self._thread, self.model.predict, rows)
        self.metrics.predictions(output.prediction)
        return self._answer(output, many)

    def _answer(self, output: Output, many: bool) -> dict[str, Any]:
        unique = uuid.uuid4().hex
        answer: dict[str, Any] = {"prediction": output.prediction if many else output.prediction[0]}
        if output.probability is not None:
            answer["probability"] = output.probability if many else output.probability[0]
        answer["id"] = [f"{unique}-{index}" for index in range(len(output.prediction))] if many else unique
        answer["model"] = self.name
        answer["version"] = self.version
        return answer
