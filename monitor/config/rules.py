"""What each kind of value in the configuration allows: text, numbers, HTTP, Kafka, times.

Each mistake is a `ValueError` of the form `what is wrong; what is allowed`. None shows a value.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import SecretStr, ValidationInfo

from monitor.config.files import UnreadableError, read_pem, read_text
from monitor.config.public_url import Expanded

EMBEDDED = "embedded"
MAX_NAME_LENGTH = 200
FINGERPRINT = "[0-9A-Fa-f]{64}|(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}"
MAX_STEPS = 20

_MAX_SECRET_BYTES = 1_000_000
_MAX_TOPIC_LENGTH = 249 - len(".checks")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SCOPE = re.compile(r"[!#-\[\]-~]+")
_TOPIC = re.compile(r"[A-Za-z0-9._-]+")
_STATUS = re.compile(r"[1-5]xx|(?P<lowest>[1-5][0-9]{2})(?:-(?P<highest>[1-5][0-9]{2}))?", re.IGNORECASE)
_HIGHEST_STATUS = 599
_TIME_OF_DAY = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_CRON_FIELDS = 5


def kind(value: object) -> str:
    """Return the JSON type of a value in words, for a sentence that must not show the value."""
    if isinstance(value, bool):
        return "true or false"
    kinds = {
        type(None): "null",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return kinds.get(type(value), "a string")


def string(value: object, allowed: str = "a string") -> str:
    """Allow strings."""
    if not isinstance(value, str):
        raise ValueError(f"is {kind(value)}; must be {allowed}")  # noqa: TRY004 - pydantic takes no TypeError
    return value


def _folder(context: ValidationInfo) -> Path:
    return context.context["folder"] if context.context else Path.cwd()


def read_secret(value: object, context: ValidationInfo) -> SecretStr:
    """Allow a string, or an object that names a file; the file's last line break is no part of the secret.

    What came from the environment or a file stays marked as such.
    """
    match value:
        case str():
            return SecretStr(value)
        case SecretStr():
            return value
        case {"file": str(name), **others} if not others:
            path = _folder(context) / name
            try:
                text = read_text(path, _MAX_SECRET_BYTES).rstrip("\r\n")
            except UnreadableError as error:
                raise ValueError(f"{path}: {error}; must be a readable file of UTF-8") from error
            return SecretStr(Expanded(text, ((0, len(text)),)))
    raise ValueError(f'is {kind(value)}; must be a string or {{"file": "PATH"}}')


def check_name(name: str) -> str:
    """Allow what fits into one line of a log, and can be seen."""
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"not a name; must be 1 to {MAX_NAME_LENGTH} printable characters")
    return name


def check_topic(name: str) -> str:
    """Allow Kafka's names of topics, with room for the endings `.dead` and `.checks`."""
    if not _TOPIC.fullmatch(name) or name in {".", ".."} or len(name) > _MAX_TOPIC_LENGTH:
        raise ValueError(f"not a topic; must be 1 to {_MAX_TOPIC_LENGTH} of letters, digits, dot, _ and -")
    return name


def check_method(method: str) -> str:
    """Allow any word that HTTP allows; return it in capitals."""
    if not _TOKEN.fullmatch(method):
        raise ValueError("not a method of HTTP; must be one word such as GET")
    return method.upper()


def check_header_name(name: str) -> str:
    """Allow HTTP's names of headers."""
    if not _TOKEN.fullmatch(name):
        raise ValueError("not the name of a header; must be letters, digits and any of !#$%&'*+.^_`|~-")
    return name


def check_key(secret: str) -> str:
    """Allow what can keep somebody out: an empty variable or file cannot."""
    if not secret.strip():
        raise ValueError("an empty secret; must have one or more visible characters")
    return secret


def check_header_value(value: str) -> str:
    """Allow what cannot end the header."""
    if any(character in value for character in "\r\n\0"):
        raise ValueError("a line break or NUL inside; must be one line")
    return value


def check_username(name: str) -> str:
    """Allow what HTTP's basic authentication can send."""
    if ":" in name or not name.isprintable():
        raise ValueError("a colon or a control character inside; must have none")
    return name


def check_scope(scope: str) -> str:
    """Allow what RFC 6749 allows."""
    if not _SCOPE.fullmatch(scope):
        raise ValueError('not a scope; must be one word of ASCII without quotes and \\, such as "read"')
    return scope


def check_status(value: object) -> str | int:
    """Allow codes, ranges and classes; return codes as integers and classes in small letters."""
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        match = _STATUS.fullmatch(str(value))
        if match and int(match["lowest"] or 0) <= int(match["highest"] or _HIGHEST_STATUS):
            return int(match[0]) if match[0].isdigit() else match[0].lower()
    raise ValueError('not a status; must be a code (200), a range ("200-399") or a class ("2xx")')


def check_fingerprint(value: object) -> str:
    """Allow SHA-256 in hex digits, with or without colons; what came from the environment stays marked."""
    allowed = "64 hex digits, with or without colons"
    text = string(value, allowed)
    if not re.fullmatch(FINGERPRINT, text):
        raise ValueError(f"not the SHA-256 of a certificate; must be {allowed}")
    return text


def check_not_empty(many: tuple[Any, ...]) -> tuple[Any, ...]:
    """Allow lists with something in them."""
    if not many:
        raise ValueError("an empty list; must have one or more")
    return many


def check_number_of_steps(steps: tuple[Any, ...]) -> tuple[Any, ...]:
    """Allow as many steps as one check may have."""
    if not 1 <= len(steps) <= MAX_STEPS:
        raise ValueError(f"{len(steps)} steps; must be 1 to {MAX_STEPS}")
    return steps


def absolute_path(value: object, context: ValidationInfo) -> Path:
    """Allow paths; relative ones are relative to the configuration's folder."""
    path = value if isinstance(value, Path) else Path(string(value, "a path"))
    return (_folder(context) / check_path(str(path))).absolute()


def check_path(path: str) -> str:
    """Allow what the system takes as a path."""
    if "\0" in path:
        raise ValueError("NUL inside; must be a path")
    return path


def check_pem_file(path: Path) -> Path:
    """Allow files that can be read; what is in them is looked at together with others."""
    read_pem(path)
    return path


def check_instant(value: object) -> datetime:
    """Allow ISO 8601 with an offset from UTC."""
    allowed = 'like "2026-12-01T02:00:00+01:00"'
    text = string(value, allowed)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"not an instant; must be {allowed}") from error
    if instant.tzinfo is None:
        raise ValueError(f"no offset from UTC; must be {allowed}")
    return instant


def check_time_of_day(text: str) -> str:
    """Allow hours and minutes."""
    if not _TIME_OF_DAY.fullmatch(text):
        raise ValueError('not a time of day; must be like "02:30"')
    return text


def check_time_zone(name: str) -> str:
    """Allow the names of IANA's time zones."""
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError('not a time zone; must be a name such as "Europe/Berlin"') from error
    return name


def check_cron(expression: str) -> str:
    """Allow cron's five fields."""
    try:
        CronSim(expression, datetime(2000, 1, 1))  # noqa: DTZ001 - any instant will do
        if len(expression.split()) == _CRON_FIELDS:
            return expression
    except CronSimError:
        pass
    raise ValueError('not a cron expression; must be five fields such as "30 2 * * sun"')
