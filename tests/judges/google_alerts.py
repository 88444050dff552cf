"""Run by the judges' own Python: reads alert policies and channels as Google's own types, and prints what is none.

Reads `{"policies": {...}, "channels": {...}}`, each a name with an object as the API has it, from standard input; prints
`{name: error}`.
"""

import json
import sys
from typing import Any

from google.cloud.monitoring_v3 import AlertPolicy, NotificationChannel  # type: ignore[import-not-found,unused-ignore]
from google.protobuf import json_format  # type: ignore[import-not-found,unused-ignore]

TYPES: dict[str, Any] = {"policies": AlertPolicy, "channels": NotificationChannel}


def main() -> None:
    """Every object on its own."""
    groups: dict[str, dict[str, Any]] = json.load(sys.stdin)
    refused: dict[str, str] = {}
    for group, objects in groups.items():
        for name, given in objects.items():
            try:
                json_format.ParseDict(given, TYPES[group].pb(TYPES[group]()))
            except json_format.ParseError as error:
                refused[f"{group}/{name}"] = str(error)
    print(json.dumps(refused))


if __name__ == "__main__":
    main()
