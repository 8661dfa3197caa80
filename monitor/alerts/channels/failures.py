"""Why an alert was not delivered, and whether another attempt may help. Pure.

apprise returns only whether an alert was delivered. What went wrong is read from its log lines: only the
codes in them, since the rest may show secrets.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus

import msgspec

_TEMPORARY = frozenset({408, 425, 429})
_PERMANENT_FOR_SMTP = 500

# The codes in apprise's log lines.
_HTTP_CODE = re.compile(r"\berror=(\d{3})\b")
_SMTP_CODE = re.compile(r"\((\d{3}), b['\"]|was refused: (\d{3})\b")


class Failure(msgspec.Struct, frozen=True):
    """The reason in one line without secrets."""

    text: str = "no connection, or it was not accepted"
    permanent: bool = False
    """Whether another attempt would end in the same way."""


def failure_in(lines: Iterable[str]) -> Failure:
    """Return the failure that log lines show; it is permanent only if all codes in them are."""
    permanent_by_text = {}
    for line in lines:
        for code in map(int, _HTTP_CODE.findall(line)):
            permanent_by_text[f"the answer was {code}"] = is_permanent(code)
        for code in (int(first or second) for first, second in _SMTP_CODE.findall(line)):
            permanent_by_text[f"the mail server answered {code}"] = code >= _PERMANENT_FOR_SMTP
    if not permanent_by_text:
        return Failure()
    return Failure(", ".join(permanent_by_text), all(permanent_by_text.values()))


def is_permanent(http_status: int) -> bool:
    """Return whether another attempt would get the same answer, given one that is no success."""
    return http_status < HTTPStatus.INTERNAL_SERVER_ERROR and http_status not in _TEMPORARY
