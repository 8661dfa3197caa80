"""The secrets that the checks of a monitor send: to its site, or to its proxy.

A site can send back what it got. What it got is known, so that it need not be guessed in what is kept.
"""

import binascii
import os
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from urllib.parse import unquote, unquote_plus

from pydantic import SecretStr

from monitor.config.model import Monitor
from monitor.config.public_url import Expanded, is_secret_header, names_a_secret, secret_values, user_info
from monitor.config.steps.step import Step

MAX_FIELDS = 100  # of a body, that are secrets

# Fields of forms, members of JSON, attributes of XML.
_FIELD = re.compile(r"""(?<![\w.%-])(?P<name>[\w.%-]+)["']?\s*[=:]\s*["']?(?P<value>[^"'&,;<>{}\s]+)""")


def sent_secrets(monitor: Monitor, environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return the secrets, of any length: credentials, what came from the environment or a file, the body."""
    return frozenset(filter(None, _sent(monitor, environ)))


def _sent(monitor: Monitor, environ: Mapping[str, str]) -> Iterator[str]:
    yield from _in_url(monitor.url)
    for proxy in monitor.proxies(environ).values():
        yield from _in_url(proxy)
    if monitor.bearer_token is not None:
        yield monitor.bearer_token.get_secret_value()
    if monitor.basic_auth is not None:
        password = monitor.basic_auth.password.get_secret_value()
        yield from (password, f"{monitor.basic_auth.username}:{password}")
    if monitor.oauth2 is not None:
        yield from _in_url(monitor.oauth2.token_url.get_secret_value())
        yield monitor.oauth2.client_secret.get_secret_value()
        for name, value in monitor.oauth2.endpoint_params.items():
            yield from _in_parameter(name, value.get_secret_value())
    for name, value in monitor.headers.items():
        yield from _in_header(name, value)
    if monitor.body is not None:
        yield from _in_body(monitor.body.get_secret_value())
    yield from chain.from_iterable(map(_in_step, monitor.steps))


def _in_step(step: Step) -> Iterator[str]:
    yield from _in_url(step.url)
    for name, value in step.headers.items():
        yield from _in_header(name, value)
    for body in (step.body, step.json):
        if body is not None:
            yield from _in_body(body.get_secret_value())
    for name, value in step.form.items():
        yield from _in_parameter(name, value.get_secret_value())


def _in_url(url: str) -> Iterator[str]:
    yield from _from_outside(url)
    for value in secret_values(url):
        yield from (value, unquote(value), unquote_plus(value))
    user, colon, password = user_info(url).partition(":")
    if colon:
        yield from (password, unquote(password), f"{unquote(user)}:{unquote(password)}")
    else:
        yield from (user, unquote(user))


def _in_parameter(name: str, value: str) -> Iterator[str]:
    yield from _from_outside(value)
    if names_a_secret(name):
        yield value


def _in_header(name: str, secret: SecretStr) -> Iterator[str]:
    value = secret.get_secret_value()
    yield from _from_outside(value)
    if not is_secret_header(name):
        return
    yield value
    yield from (cookie.partition("=")[2].strip(' "') for cookie in value.split(";"))
    scheme, _, credentials = value.partition(" ")
    yield credentials
    if scheme.lower() == "basic":
        try:
            both = b64decode(credentials).decode()
        except (binascii.Error, UnicodeDecodeError):
            return
        yield from (both, both.partition(":")[2])


def _in_body(body: str) -> Iterator[str]:
    yield body
    yield from _from_outside(body)
    fields = (each for each in _FIELD.finditer(body) if names_a_secret(unquote_plus(each["name"])))
    for field in islice(fields, MAX_FIELDS):
        yield from (field["value"], unquote_plus(field["value"]))


def _from_outside(text: str) -> Iterator[str]:
    """Return the parts that came from the environment or a file."""
    return (text[start:stop] for start, stop in (text.spans if isinstance(text, Expanded) else ()))
