"""Why a site is down now: an open incident has the reason that its newest failed checks agree on. Pure."""

import re
from collections.abc import Collection

import msgspec

from monitor.incidents.model import Change, Episode
from monitor.result import CheckResult, Reason

_AGREEING = 2  # failed checks in a row that give an incident another reason
_CODE = re.compile(r"status \d+")


def follow_cause(
    outage: Episode, result: CheckResult, down: Collection[str]
) -> tuple[Episode, Change | None]:
    """Return the open outage after one more result, and the change if it has another reason now.

    When several locations are `down`, as many checks in a row must agree: each may see another cause.
    """
    if result.up or not outage.was_opened or result.location not in down:
        return outage, None
    if result.detail == outage.detail and result.reason == outage.reason:  # as nearly always
        return _with_other(outage, "", 0), None
    cause = _cause_of(result.reason, result.detail)
    if cause == _cause_of(outage.reason, outage.detail):
        return _with_other(outage, "", 0), None
    others = outage.others + 1 if cause == outage.other_cause else 1
    if others < max(_AGREEING, len(down)):
        return _with_other(outage, cause, others), None
    outage = msgspec.structs.replace(outage, reason=result.reason, detail=result.detail)
    return _with_other(outage, "", 0), outage.change("changed", result.scheduled_at)


def _cause_of(reason: str | None, detail: str | None) -> str:
    """Return what two checks that fail for the same cause have in common.

    That is the reason, or the status code. The rest of the detail may be another one in each check.
    """
    code = _CODE.search(detail or "") if reason == Reason.STATUS else None
    return code[0] if code else reason or ""


def _with_other(outage: Episode, cause: str, others: int) -> Episode:
    if (cause, others) == (outage.other_cause, outage.others):
        return outage
    return msgspec.structs.replace(outage, other_cause=cause, others=others)
