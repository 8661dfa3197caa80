"""What each kind of value in the configuration allows, and what is said otherwise.

Each mistake is a `ValueError` of the form `what is wrong; what is allowed`. None shows a value.
"""

import ipaddress
import re
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationInfo

from monitor.config_text_file import UnreadableError, read_text
from monitor.config_tls_files import check_authorities

EMBEDDED = "embedded"
MAX_NAME_LENGTH = 200
_MAX_SECRET_BYTES = 1_000_000
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
# By ourselves: which brackets `urlsplit` takes changes with the release of Python.
_WEB_ADDRESS = re.compile(r"(?P<scheme>[^:/?#]+)://(?P<place>[^/?#]+)")
_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^][]+)\]|(?P<name>[^][:]+))(?::(?P<port>[0-9]{0,5}))?")
_STATUS = re.compile(r"[1-5]xx|(?P<lowest>[1-5][0-9]{2})(?:-(?P<highest>[1-5][0-9]{2}))?", re.IGNORECASE)
_TOPIC = re.compile(r"[A-Za-z0-9._-]+")
_MAX_TOPIC_LENGTH = 249 - len(".dead")
_MAX_PORT = 65_535
_HIGHEST_STATUS = 599
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def kind(value: object) -> str:
    """Name the JSON type of a value, for a sentence that must not show the value."""
    if isinstance(value, bool):
        return "true or false"
    kinds = {
        type(None): "null",
        int: "a number",
        float: "a number",
        list: "a list",
        tuple: "a list",
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


def read_secret(value: object, context: ValidationInfo) -> object:
    """Allow a string, or an object that names a file; the file's last line break is no part of the secret."""
    match value:
        case str() | SecretStr():
            return value
        case {"file": str(name), **others} if not others:
            path = _folder(context) / name
            try:
                return read_text(path, _MAX_SECRET_BYTES).rstrip("\r\n")
            except UnreadableError as error:
                raise ValueError(f"{path}: {error}; must be a readable file of UTF-8") from error
    raise ValueError(f'is {kind(value)}; must be a string or {{"file": "PATH"}}')


def check_host(host: str) -> str:
    """Allow what DNS can look up, also in other alphabets, and IP addresses."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            ascii_host = host.encode("idna").decode()
        except UnicodeError:
            ascii_host = ""
        if not _HOST.fullmatch(ascii_host):
            raise ValueError("not a host; must be a name or an IP address") from None
    return host


def port_of(address: str) -> int | None:
    """Find the port of HOST[:PORT], with an IPv6 address in brackets; allow nothing else."""
    match = _ADDRESS.fullmatch(address)
    if match is None or (match["ipv6"] and ":" not in match["ipv6"]):
        raise ValueError("not a host and a port; must be HOST or HOST:PORT, [IPV6] or [IPV6]:PORT")
    check_host(match["ipv6"] or match["name"])
    if not match["port"]:
        return None
    if not 1 <= int(match["port"]) <= _MAX_PORT:
        raise ValueError(f"no such port; must be 1 to {_MAX_PORT}")
    return int(match["port"])


def _web_address(value: str, *schemes: str) -> str:
    allowed = " or ".join(f"{scheme}://HOST" for scheme in schemes)
    if not value.isprintable() or " " in value:
        raise ValueError(f"a space or a control character in the URL; must be {allowed}")
    match = _WEB_ADDRESS.match(value)
    if match is None or match["scheme"].lower() not in schemes:
        raise ValueError(f"not such a URL; must be {allowed}")
    port_of(match["place"].rpartition("@")[2])
    return value


def check_url(value: object) -> str:
    """Allow URLs of HTTP with a host."""
    return _web_address(string(value, "a URL"), "http", "https")


def check_proxy(value: str) -> str:
    """Allow URLs of proxies that speak HTTP."""
    return _web_address(value, "http")


def check_name(name: str) -> str:
    """Allow what fits into one line of a log, and can be seen."""
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"not a name; must be 1 to {MAX_NAME_LENGTH} printable characters")
    return name


def check_topic(name: str) -> str:
    """Allow Kafka's names of topics, with room for the dead letters' ending."""
    if not _TOPIC.fullmatch(name) or name in {".", ".."} or len(name) > _MAX_TOPIC_LENGTH:
        raise ValueError(f"not a topic; must be 1 to {_MAX_TOPIC_LENGTH} of letters, digits, dot, _ and -")
    return name


def check_bootstrap(servers: str) -> str:
    """Allow host:port[,host:port], or the embedded broker."""
    if servers == EMBEDDED:
        return servers
    addresses = [address.strip() for address in servers.split(",")]
    try:
        complete = all(port_of(address) is not None for address in addresses)
    except ValueError:
        complete = False
    if not complete:
        raise ValueError(f'not a list of servers; must be HOST:PORT[,HOST:PORT] or "{EMBEDDED}"')
    return ",".join(addresses)


def check_database(uri: str) -> str:
    """Allow PostgreSQL's URIs, or the embedded server."""
    if uri == EMBEDDED:
        return uri
    if not uri.startswith(("postgres://", "postgresql://")) or not uri.isprintable():
        allowed = f'must be postgresql://USER:PASSWORD@HOST:PORT/NAME or "{EMBEDDED}"'
        raise ValueError(f"not a URI of PostgreSQL; {allowed}")
    if any(mode not in _SSL_MODES for mode in re.findall(r"[?&]sslmode=([^&]*)", uri)):
        raise ValueError(f"unknown sslmode; must be one of {', '.join(_SSL_MODES)}")
    return uri


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


def check_status(value: object) -> str | int:
    """Allow codes, ranges and classes; return codes as integers and classes in small letters."""
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        match = _STATUS.fullmatch(str(value))
        if match and int(match["lowest"] or 0) <= int(match["highest"] or _HIGHEST_STATUS):
            return int(match[0]) if match[0].isdigit() else match[0].lower()
    raise ValueError('not a status; must be a code (200), a range ("200-399") or a class ("2xx")')


def check_not_empty(many: tuple[Any, ...]) -> tuple[Any, ...]:
    """Allow lists with something in them."""
    if not many:
        raise ValueError("an empty list; must have one or more")
    return many


def absolute_path(value: object, context: ValidationInfo) -> Path:
    """Allow paths; relative ones are relative to the configuration's folder."""
    path = value if isinstance(value, Path) else Path(string(value, "a path"))
    if "\0" in str(path):
        raise ValueError("NUL inside; must be a path")
    return (_folder(context) / path).absolute()


def check_readable_file(path: Path) -> Path:
    """Allow files that can be opened."""
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"cannot read {path}; must be a readable file") from error


def check_authorities_file(path: Path) -> Path:
    """Allow PEM files of certificates."""
    check_authorities(path)
    return path
