"""The JSON Schema of the Kafka message.

The repository's copy is what this prints: `python -m monitor.result_schema > monitor/result.schema.json`.
"""

import json
import sys
from typing import Any

import msgspec

from monitor.result import CheckResult


def schema() -> dict[str, Any]:
    """Describe the message; further fields may come."""
    described = msgspec.json.schema(CheckResult)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
