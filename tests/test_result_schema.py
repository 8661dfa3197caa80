import json
import runpy
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from monitor import result_schema
from monitor.result import encode
from monitor.result_schema import schema
from tests.test_result import result

FILE = Path(result_schema.__file__).with_name("result.schema.json")


def test_the_schema_of_the_repository_is_the_one_made_from_the_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runpy.run_path(result_schema.__file__, run_name="__main__")

    assert FILE.read_text(encoding="utf-8") == capsys.readouterr().out


def test_a_message_is_valid_and_a_wrong_one_is_not() -> None:
    message = json.loads(encode(result()).value)
    validator = Draft202012Validator(schema())

    validator.validate(message)
    assert not validator.is_valid(message | {"up": "yes"})
    assert not validator.is_valid({name: value for name, value in message.items() if name != "id"})
