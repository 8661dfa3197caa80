"""What makes a response good: the keys of `expect`."""

import warnings
from typing import Annotated, Literal

from pydantic import Field

from monitor.config import values
from monitor.config.values import Duration, Many, OneOrMany, Strict

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # pydantic's own deprecated `json` gives way to the key

    class Expect(Strict):
        """What must hold, all at once, for a response to be up."""

        status: Annotated[tuple[values.StatusPattern, ...], Many, OneOrMany(), values.NotEmpty] = ("200-399",)
        """Codes (200), ranges ("200-399") and classes ("2xx")."""
        body_regex: Annotated[tuple[values.Regex, ...], Many, OneOrMany()] = ()
        """Regular expressions that must be found in the body."""
        body_not_regex: Annotated[tuple[values.Regex, ...], Many, OneOrMany()] = ()
        """Regular expressions that must not be found in the body."""
        body_complete: bool = False
        """Whether the body must end within `max_body_bytes`."""
        header_regex: dict[values.HeaderName, values.Regexes] = {}
        """By header name: regular expressions, each of which must be found in one of its values."""
        header_regex_if_present: dict[values.HeaderName, values.Regexes] = {}
        """The same, of a header that may be missing."""
        header_not_regex: dict[values.HeaderName, values.Regexes] = {}
        """By header name: regular expressions that must be found in none of its values."""
        json: Annotated[tuple[values.JmesPath, ...], Many, OneOrMany()] = ()  # type: ignore[assignment]  # pydantic's own
        """JMESPath expressions that must be true of the body."""
        max_response_time_s: Duration | None = None
        """The longest response time that is still up."""
        min_certificate_days: Annotated[float, Field(ge=0, le=36_500)] | None = None
        """The days for which the server's certificates must still be valid."""
        tls: Literal["required", "forbidden"] | None = None
        """Whether the last request must be made with TLS, or must not."""
        min_tls_version: Literal["1.2", "1.3"] | None = None
        """The lowest version of TLS that may be agreed on; older ones than 1.2 are never offered."""
        certificate_issuer: values.Regex | None = None
        """A regular expression that must be found in the issuer of the server's own certificate."""
        certificate_sha256: Annotated[tuple[values.Fingerprint, ...], Many, OneOrMany()] = ()
        """SHA-256 fingerprints, one of which the server's own certificate must have; hex digits."""
