"""The JSON Schemas of the configuration file and of the Kafka message.

The repository's copies are for editors and other programs; `python -m monitor.schemas monitor` makes them.
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from monitor.config.model import WrittenConfig
from monitor.result import CheckResult

_DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
_FROM_ENVIRONMENT = {"type": "string", "pattern": r"\$\{"}


def config_schema() -> dict[str, Any]:
    """Return what people may write into the configuration file."""
    described: dict[str, Any] = _relaxed(WrittenConfig.model_json_schema(by_alias=True))
    described["anyOf"] = [
        {"required": ["url_to_monitor"]},
        {"required": ["monitors"]},
        {"required": ["include"]},
    ]
    described["description"] = "The configuration of the website health monitor."
    return {**_DIALECT, **described}


def result_schema() -> dict[str, Any]:
    """Return what the message has; fields may be added later."""
    return {**_DIALECT, **msgspec.json.schema(CheckResult)}


def write(folder: Path) -> None:
    """Write both schemas into the folder."""
    for name, schema in (("config", config_schema()), ("result", result_schema())):
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        (folder / f"{name}.schema.json").write_text(text, encoding="utf-8")


def _relaxed(node: Any) -> Any:
    """Return the schema without titles; a choice of words may be an environment variable as well."""
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
    write(Path(sys.argv[1]))
