"""What a token server is asked, and what its answer says (RFC 6749, 4.4 and 5). Pure."""

import math
import re
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlencode

import msgspec
from pydantic import SecretStr

from monitor.config.model import BasicAuth, Monitor, MonitorSettings, OAuth2
from monitor.runtime.text import DAY_S, quoted

LIMIT_S = 10.0
"""For the answer of a token server."""
LEAST_S = 10.0
"""A token is used for so long, however short its life is said to be."""
CONNECTION = ("verify_tls", "ca_file", "ip_family", "resolver", "deny_addresses", "proxy", "no_proxy")
"""What a request for a token has of its monitor."""

_UNSAID_S = 300.0  # the life of a token of which nothing is said
_MAX_BYTES = 65_536  # of an answer
_SENDABLE = re.compile(r"[!-~]{1,16384}")


class Grant(NamedTuple):
    """An access token, and for how many seconds it is used."""

    access_token: str
    lasts_s: float


class NoTokenError(Exception):
    """There is no access token; the text says why, for a person."""


def token_request(asking: MonitorSettings, oauth2: OAuth2) -> Monitor:
    """Return what asks for a token as a monitor that is checked once, with the connection of this one."""
    fields = {"grant_type": "client_credentials"}
    if oauth2.scopes:
        fields["scope"] = " ".join(oauth2.scopes)
    fields |= {name: value.get_secret_value() for name, value in oauth2.endpoint_params.items()}
    client, secret = oauth2.client_id, oauth2.client_secret.get_secret_value()
    settings: dict[str, Any] = {key: getattr(asking, key) for key in CONNECTION}
    if oauth2.auth_method == "client_secret_post":
        fields |= {"client_id": client, "client_secret": secret}
    else:
        settings["basic_auth"] = BasicAuth(
            username=quote_plus(client), password=SecretStr(quote_plus(secret))
        )
    return Monitor(
        name="token",
        url=oauth2.token_url.get_secret_value(),
        timeout_s=LIMIT_S,
        method="POST",
        headers={
            "Content-Type": SecretStr("application/x-www-form-urlencoded"),
            "Accept": SecretStr("application/json"),
        },
        body=SecretStr(urlencode(fields)),
        oauth2=oauth2,
        follow_redirects=False,
        max_body_bytes=_MAX_BYTES,
        store_body="never",
        **settings,
    )


def granted(body: bytes | bytearray) -> Grant:
    """Return what a good answer grants.

    Raises:
        NoTokenError: that is nothing that can be used.

    """
    answer = _members(body)
    token, kind = answer.get("access_token"), answer.get("token_type", "Bearer")
    if not (isinstance(token, str) and _SENDABLE.fullmatch(token)):
        raise NoTokenError("the answer has no access_token that can be sent")
    if not (isinstance(kind, str) and kind.lower() == "bearer"):
        raise NoTokenError(f"the token is not of the type Bearer: {quoted(str(kind))}")
    return Grant(token, _lasts_s(answer.get("expires_in")))


def refusal(status: int | None, body: bytes | bytearray) -> str:
    """Return what another answer says, for a person."""
    answer = _members(body)
    said = [
        quoted(text) for key in ("error", "error_description") if isinstance(text := answer.get(key), str)
    ]
    return ": ".join([f"the answer was {status}", *said])


def _members(body: bytes | bytearray) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        answer = None
    return answer if isinstance(answer, dict) else {}


def _lasts_s(expires_in: object) -> float:
    """Return how long a token is used: some servers say it as a string, or not at all, or what cannot be."""
    try:
        seconds = float(expires_in)  # type: ignore[arg-type]  # what is no number is caught
    except (TypeError, ValueError, OverflowError):
        return _UNSAID_S
    return min(max(seconds, LEAST_S), DAY_S) if math.isfinite(seconds) else _UNSAID_S
