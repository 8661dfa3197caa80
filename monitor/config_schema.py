"""The JSON Schema of the configuration file.

The repository's copy, for editors, is what this prints:
`python -m monitor.config_schema > monitor/config.schema.json`.
"""

import json
import sys
from typing import Any

from monitor.config import WrittenConfig

_FROM_ENVIRONMENT = {"type": "string", "pattern": r"\$\{"}


def schema() -> dict[str, Any]:
    """Describe what people may write into the file."""
    described: dict[str, Any] = _relaxed(WrittenConfig.model_json_schema(by_alias=True))
    described["anyOf"] = [{"required": ["url_to_monitor"]}, {"required": ["monitors"]}]
    described["description"] = "The configuration of the website health monitor."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described}


def _relaxed(node: Any) -> Any:
    """Leave out titles, and let a choice of words be an environment variable as well."""
    if isinstance(node, list):
        return [_relaxed(element) for element in node]
    if not isinstance(node, dict):
        return node
    relaxed = {
        key: _relaxed(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))
    }
    if "enum" in relaxed:
        choice = {"enum": relaxed.pop("enum")}
        relaxed.pop("type", None)
        relaxed["anyOf"] = [choice, _FROM_ENVIRONMENT]
    return relaxed


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
