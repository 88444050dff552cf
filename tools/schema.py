"""Writes the components' schema for other languages: `python -m tools.schema`."""

import json
import subprocess

from tools.paths import PROJECT
from tools.progress import Progress
from tools.toolchain import ENGINE, ensure, environment

TARGET = PROJECT / "components/schema.json"


def main() -> None:
    """Ask the engine for the schema, as `pulumi package get-schema ./components` does, and write it."""
    tools = ensure(ENGINE, Progress())
    command = [str(tools["pulumi"].path), "package", "get-schema", str(PROJECT / "components")]
    answer = subprocess.run(command, env=environment(tools), capture_output=True, text=True, check=True)
    TARGET.write_text(json.dumps(json.loads(answer.stdout), indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
