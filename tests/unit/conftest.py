"""Fresh Pulumi mocks per test; assertions run after the program has ended."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks


class Recorder(pulumi.runtime.Mocks):
    """Keeps every registration and answers with the inputs as state."""

    def __init__(self) -> None:
        self.resources: list[mocks.MockResourceArgs] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.resources.append(args)
        printed = {"stdout": ""} if args.typ == "command:local:Command" else {}
        return f"{args.name}-id", {**args.inputs, **printed}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"unexpected call {args.token}")


class Deployed:
    """What a program registered."""

    def __init__(self, recorder: Recorder, monitor: mocks.MockMonitor) -> None:
        self.resources = recorder.resources
        self.urns = sorted(monitor.get_registered_resources())

    def inputs(self, name: str) -> dict[str, Any]:
        """Inputs of the one resource with this logical name."""
        (found,) = [resource for resource in self.resources if resource.name == name]
        return dict(found.inputs)

    def names(self, kind: str) -> list[str]:
        """Logical names of all resources whose type ends with `kind`, sorted."""
        return sorted(resource.name for resource in self.resources if resource.typ.endswith(f":{kind}"))


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], object]], Deployed]]:
    """Runs a program against the mocks and returns what it registered."""
    monkeypatch.setenv("PULUMI_ERROR_OUTPUT_STRING", "true")
    # The SDK's mock monitor makes an event loop in each worker thread and never closes one.
    loops: list[asyncio.AbstractEventLoop] = []
    make_loop = asyncio.new_event_loop

    def recorded_loop() -> asyncio.AbstractEventLoop:
        loops.append(make_loop())
        return loops[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", recorded_loop)
    asyncio.set_event_loop(asyncio.new_event_loop())
    recorder = Recorder()
    monitor = mocks.MockMonitor(recorder)
    pulumi.runtime.set_mocks(recorder, project="modelway", stack="test", preview=False, monitor=monitor)

    def run(program: Callable[[], object]) -> Deployed:
        def wrapped() -> None:
            program()

        pulumi.runtime.test(wrapped)()
        return Deployed(recorder, monitor)

    yield run
    pulumi.runtime.settings.reset_options()
    asyncio.set_event_loop(None)
    for loop in loops:
        loop.close()
