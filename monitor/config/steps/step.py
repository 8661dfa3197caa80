"""One request of a check that has several, and the values that are saved of its response."""

import warnings
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from monitor.config import values
from monitor.config.expect import Expect
from monitor.config.public_url import public_url
from monitor.config.values import Duration, Strict

_SOURCES = ("json", "header", "body_regex", "cookie")

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # pydantic's own deprecated `json` gives way to the key

    class Save(Strict):
        """Where a value is in a response: just one of `json`, `header`, `body_regex` and `cookie`."""

        model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in _SOURCES]})

        json: values.JmesPath | None = None  # type: ignore[assignment]  # pydantic's own
        """JMESPath expression that returns a string, a number or true or false."""
        header: values.HeaderName | None = None
        """Name of a header."""
        regex: values.CapturingRegex | None = None
        """Regular expression with one group: the part of the header that is saved; by default all of it."""
        body_regex: values.CapturingRegex | None = None
        """Regular expression with one group: the part of the body that is saved."""
        cookie: values.Name | None = None
        """Name of a cookie that the check has got."""

        @model_validator(mode="after")
        def _has_one_source(self) -> Self:
            given = [key for key in _SOURCES if getattr(self, key) is not None]
            if len(given) != 1:
                raise ValueError(
                    f"has {' and '.join(given) or 'none'}; must have one of {', '.join(_SOURCES)}"
                )
            if self.regex is not None and self.header is None:
                raise ValueError("has a regex without a header; must have both, or body_regex")
            return self

    class Step(Strict):
        """One request of a check that has several."""

        name: values.Name
        """Unique among the steps of the monitor."""
        url: Annotated[values.StepUrl, Field(repr=False)]
        """http:// or https:// URL; after its host, {{NAME}} stands for a value that was saved."""
        method: values.Method | None = None
        """By default GET, and POST with a body."""
        headers: dict[values.HeaderName, values.HeaderValue] = {}
        """Request headers, beside those of the monitor."""
        body: values.Secret | None = None
        """The request's body."""
        json: values.SecretJson | None = None  # type: ignore[assignment]  # pydantic's own
        """The request's body, as JSON."""
        form: dict[str, values.Secret] = {}
        """The request's body, as the fields of a form."""
        follow_redirects: bool | None = None
        """By default that of the monitor."""
        timeout_s: Duration | None = None
        """The longest that the step may take; by default what is left of the monitor's."""
        expect: Expect | None = None
        """By default that of the monitor."""
        save: dict[values.ValueName, Save] = {}
        """By name: values of the response, for later steps."""
        always: bool = False
        """Whether it also runs after a step that failed."""

        @property
        def public_url(self) -> str:
            """The URL without user, password, secret query values and values from the environment."""
            return public_url(self.url)

        @property
        def asked_method(self) -> str:
            """The method: as it is written, else by whether there is a body."""
            has_body = bool(self.body or self.json or self.form)
            return self.method or ("POST" if has_body else "GET")
