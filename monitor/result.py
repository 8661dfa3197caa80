"""What one check found, and the JSON in which it travels.

Durations are seconds (float), instants are Unix seconds (float), sizes are bytes.
"""

from enum import StrEnum
from hashlib import sha1
from itertools import count
from secrets import token_hex
from typing import Literal, NamedTuple
from uuid import UUID, uuid5

import msgspec

_NAMESPACE = UUID("7a1f7b0c-6f0e-4d0e-9a57-0c6a4a4b9d11")
_NAMESPACE_BYTES = _NAMESPACE.bytes

PROCESS = token_hex(4)
next_number = count(1).__next__

# Kafka's default for `message.max.bytes` is 1,048,588 with the batch's own overhead in it.
MAX_MESSAGE_BYTES = 1_000_000


class Reason(StrEnum):
    """Why a check is not up. All but the last two are failures of the site."""

    DNS_NOT_FOUND = "dns_not_found"
    DNS_ERROR = "dns_error"
    DNS_TIMEOUT = "dns_timeout"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_UNREACHABLE = "connect_unreachable"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECT_ERROR = "connect_error"
    TLS_EXPIRED = "tls_expired"
    TLS_HOSTNAME = "tls_hostname"
    TLS_UNTRUSTED = "tls_untrusted"
    TLS_SELF_SIGNED = "tls_self_signed"
    TLS_ERROR = "tls_error"
    RESPONSE_TIMEOUT = "response_timeout"
    BODY_TIMEOUT = "body_timeout"
    DISCONNECTED = "disconnected"
    PROTOCOL_ERROR = "protocol_error"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    STATUS = "status"
    HEADER = "header"
    BODY = "body"
    JSON = "json"
    BODY_TOO_LARGE = "body_too_large"
    TOO_SLOW = "too_slow"
    CERTIFICATE_EXPIRING = "certificate_expiring"
    TLS_POLICY = "tls_policy"
    DOMAIN_EXPIRING = "domain_expiring"
    BLOCKED_ADDRESS = "blocked_address"
    AUTH_ERROR = "auth_error"  # no access token could be had, so the site was not asked
    MONITOR_OFFLINE = "monitor_offline"  # this machine had no network: the site may be up or down


def why(reason: str | None, detail: str | None) -> str:
    """Return for a person why a check is not up, empty where it is. A detail says what the reason does."""
    return detail or (reason or "").replace("_", " ")


class Phases(msgspec.Struct, frozen=True, gc=False):
    """Seconds spent in each part of a check, over all redirects; null where it did not run."""

    resolve: float | None = None
    connect: float | None = None
    tls: float | None = None
    processing: float | None = None
    transfer: float | None = None


class Tls(msgspec.Struct, frozen=True, gc=False):
    """What the server of the last request agreed to and presented; names as `cryptography` writes them."""

    version: str
    """`TLS 1.3`; empty where its certificates were not accepted."""
    cipher: str
    """`TLS_AES_256_GCM_SHA384`; empty where its certificates were not accepted."""
    sha256: str
    """Of the peer's certificate in DER, hex digits."""
    subject: str
    issuer: str
    alternatives: str
    """The DNS names that it is for, joined by commas."""
    serial_number: str
    """Hex digits."""
    chain_expires_at: float | None
    """Earliest expiry of the chain that was verified; null where none was."""


class DnsAnswer(msgspec.Struct, frozen=True, gc=False):
    """What DNS answered about the host of the last request, or of its proxy."""

    host: str
    addresses: tuple[str, ...] = ()
    ttl_s: int | None = None
    """The time to live, with that of its aliases; null where the system made the look-up."""
    server: str | None = None
    """Which answered; null where the system made the look-up."""
    error: str | None = None
    """Why there is no address."""


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """An address, and what became of the connection to it."""

    address: str
    outcome: str


class Hop(msgspec.Struct, frozen=True, gc=False):
    """One of several requests of a check."""

    url: str
    status: int | None
    """Null without a response."""
    ip: str | None


class Certificate(msgspec.Struct, frozen=True, gc=False):
    """A certificate that was presented; all but its fingerprint is empty where it cannot be read."""

    sha256: str
    """Of its DER, hex digits."""
    subject: str = ""
    issuer: str = ""
    begins_at: float | None = None
    expires_at: float | None = None


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """What a failed check has seen."""

    headers: dict[str, str]
    """Of the response. Credentials are masked; values of one name are joined by commas."""
    body: str
    """The first 1,024 bytes of the response's body as text."""
    dns: tuple[DnsAnswer, ...] = ()
    addresses: tuple[Attempt, ...] = ()
    """Those of the last request; empty where a kept connection was used."""
    hops: tuple[Hop, ...] = ()
    """The requests of a chain of redirects, the last one at the end; empty where there was one request."""
    certificates: tuple[Certificate, ...] = ()
    """The chain that was presented for the last request, the site's own first."""


class StepResult(msgspec.Struct, frozen=True, gc=False):
    """What one step of a check found."""

    name: str
    status: int | None
    """The status code of its final response; null: no response."""
    seconds: float
    phases: Phases
    reason: str | None
    """Why it has failed; null where it has not."""


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One check of one monitor, as it travels through Kafka; the field names are the message's."""

    timestamp: float
    response_data: str
    response_status: int | None
    response_time: float
    schema: Literal[1] = 1
    id: UUID
    monitor: str
    url: str
    location: str
    scheduled_at: float
    process: str = ""
    """The unique name of the process that made it; empty where it is not known."""
    number: int = 0
    """Grows with each result of the process, also when the clock is set back."""
    up: bool | None
    """Null where the check shows nothing about the site."""
    degraded: bool = False
    """Up, but slower than `degraded_after_s`."""
    reason: str | None = None
    detail: str | None = None
    phases: Phases = Phases()
    redirects: int = 0
    http_version: str | None = None
    ip: str | None = None
    body_bytes: int = 0
    body_truncated: bool = False
    content_length: int | None = None
    """As in the header."""
    last_modified_at: float | None = None
    """As in the header."""
    certificate_expires_at: float | None = None
    """Earliest expiry of the chain that was presented, verified or not."""
    tls: Tls | None = None
    evidence: Evidence | None = None
    steps: tuple[StepResult, ...] | None = None
    """Those that ran, in their order; null where the monitor has none."""


class OriginalResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The message of the program's first version: these four fields and no others."""

    timestamp: float
    response_data: str
    response_status: int | None
    response_time: float


class _Checked(msgspec.Struct):
    timestamp: float


class _Identity(msgspec.Struct):
    id: UUID


class Message(NamedTuple):
    """A result on its way to Kafka: the monitor's name and the result's JSON, both in UTF-8."""

    key: bytes
    value: bytes


class InvalidMessageError(ValueError):
    """The bytes are no result; the text says what is wrong and where."""


class OwnTroubleError(Exception):
    """Our own machine could not make the check; the site may be up or down."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(CheckResult)
_checked_decoder = msgspec.json.Decoder(_Checked)
_identity_decoder = msgspec.json.Decoder(_Identity)
_original_decoder = msgspec.json.Decoder(OriginalResult)


def result_id(location: str, monitor: str, scheduled_at: float) -> UUID:
    """Return the name of a slot's result: a slot that is checked or delivered twice is one result."""
    name = f"{len(location)}:{location}{len(monitor)}:{monitor}{scheduled_at!r}"
    number = bytearray(sha1(_NAMESPACE_BYTES + name.encode(), usedforsecurity=False).digest()[:16])
    number[6] = number[6] & 0x0F | 0x50  # version 5
    number[8] = number[8] & 0x3F | 0x80  # of RFC 9562
    return msgspec.convert(number, UUID)  # `uuid5` returns the same, and takes three times as long


def encode(result: CheckResult, max_bytes: int = MAX_MESSAGE_BYTES) -> Message:
    """Return the result as JSON of at most `max_bytes`; the body is cut further where it has to be."""
    value = _encoder.encode(result)
    while len(value) > max_bytes and result.response_data:
        kept = len(result.response_data) * max_bytes // len(value) * 9 // 10
        result = msgspec.structs.replace(
            result, response_data=result.response_data[:kept], body_truncated=True
        )
        value = _encoder.encode(result)
    return Message(result.monitor.encode(), value)


def shrink(message: Message) -> Message | None:
    """Return the message at half its size, with less of the body; `None` when no body is left."""
    result = _decoder.decode(message.value)
    if not result.response_data:
        return None
    return encode(result, len(message.value) // 2)


def checked_at(value: bytes) -> float:
    """Return when the check of an encoded result started (Unix seconds); nothing else of it is read.

    Raises:
        InvalidMessageError: it is no result.

    """
    try:
        return _checked_decoder.decode(value).timestamp
    except msgspec.MsgspecError as error:
        raise InvalidMessageError(str(error)) from error


def identity(value: bytes) -> UUID | None:
    """Return the id in a message, also where the rest of it is no result."""
    try:
        return _identity_decoder.decode(value).id
    except (msgspec.MsgspecError, RecursionError):
        return None


def decode(value: bytes) -> CheckResult:
    """Return the result in a message of this version or of the first one.

    A message of the first version gets an identity made from its bytes.

    Raises:
        InvalidMessageError: it is neither.

    """
    try:
        return _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        try:
            original = _original_decoder.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise InvalidMessageError(str(error)) from error
    return CheckResult(
        timestamp=original.timestamp,
        response_data=original.response_data,
        response_status=original.response_status,
        response_time=original.response_time,
        id=uuid5(_NAMESPACE, value.hex()),
        monitor="",
        url="",
        location="",
        scheduled_at=original.timestamp,
        up=original.response_status is not None and 200 <= original.response_status < 400,  # noqa: PLR2004 - statuses of HTTP
    )
