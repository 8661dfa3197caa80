"""What the configuration allows as hosts, URLs, servers and networks.

Each mistake is a `ValueError` of the form `what is wrong; what is allowed`. None shows a value.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationInfo
from yarl import URL

from monitor.config.rules import EMBEDDED, read_secret, string

PRIVATE = "private"
"""In place of a network: every address that is not public."""
IPV4_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")

ENVIRONMENT: Literal["environment"] = "environment"
"""In place of a proxy: those that the environment names."""

MAX_URL_LENGTH = 8_192
MAX_RDAP_SERVER_LENGTH = 500
"""It is part of a key, of which PostgreSQL takes 2,704 bytes."""

_DNS_PORT = 53
_EVERY = "*"
_BELOW_DOMAIN = "*."
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
# By ourselves: which brackets `urlsplit` takes changes with the release of Python.
_WEB_ADDRESS = re.compile(r"(?P<scheme>[^:/?#]+)://(?P<place>[^/?#]+)")
_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^][]+)\]|(?P<name>[^][:]+))(?::(?P<port>[0-9]{0,5}))?")
_MAX_PORT = 65_535
_BELOW = re.compile(r"\A\*?\.")  # may stand before a name that is meant with all below it
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def check_host(host: str) -> str:
    """Allow what DNS can look up, also in other alphabets, and IP addresses."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            ascii_host = _in_ascii(host)
        except ValueError:
            ascii_host = ""
        if not _HOST.fullmatch(ascii_host):
            raise ValueError("not a host; must be a name or an IP address") from None
    return host


def _in_ascii(host: str) -> str:
    """Return a name as requests have it."""
    return URL.build(scheme="http", host=host).raw_host or ""


def port_of(address: str) -> int | None:
    """Return the port of HOST[:PORT], with an IPv6 address in brackets; allow nothing else."""
    match = _ADDRESS.fullmatch(address)
    if match is None or (match["ipv6"] and ":" not in match["ipv6"]):
        raise ValueError("not a host and a port; must be HOST or HOST:PORT, [IPV6] or [IPV6]:PORT")
    check_host(match["ipv6"] or match["name"])
    if not match["port"]:
        return None
    if not 1 <= int(match["port"]) <= _MAX_PORT:
        raise ValueError(f"no such port; must be 1 to {_MAX_PORT}")
    return int(match["port"])


def _is_server(address: str) -> bool:
    """Return whether the address is a host with a port."""
    try:
        return port_of(address) is not None
    except ValueError:
        return False


def _web_address(value: str, *schemes: str) -> str:
    allowed = " or ".join(f"{scheme}://HOST" for scheme in schemes)
    if len(value) > MAX_URL_LENGTH:
        raise ValueError(f"too long; must be at most {MAX_URL_LENGTH} characters")
    if not value.isprintable() or " " in value:
        raise ValueError(f"a space or a control character in the URL; must be {allowed}")
    match = _WEB_ADDRESS.match(value)
    if match is None or match["scheme"].lower() not in schemes:
        raise ValueError(f"not such a URL; must be {allowed}")
    port_of(match["place"].rpartition("@")[2])
    try:
        urlsplit(value)
        URL(value)
    except ValueError:
        encoded = "must be percent-encoded, as %5B is for ["
        raise ValueError(f"a user or password that cannot be read; {encoded}") from None
    return value


def check_url(value: object) -> str:
    """Allow URLs of HTTP with a host."""
    return _web_address(string(value, "a URL"), "http", "https")


def check_rdap_server(value: object) -> str:
    """Allow URLs below which a path can be added, without secrets: they are shown."""
    url = check_url(value)
    if len(url) > MAX_RDAP_SERVER_LENGTH:
        raise ValueError(f"too long; must be at most {MAX_RDAP_SERVER_LENGTH} characters")
    if any(sign in url for sign in "@?#"):
        raise ValueError("a user or a query in the URL; must be http://HOST/PATH or https://HOST/PATH")
    return str(url)


def check_link(value: object) -> str:
    """Allow URLs of HTTP; what came from the environment is not masked, since people follow it."""
    return str(check_url(value))


def check_proxy(value: str) -> str:
    """Allow URLs of proxies that speak HTTP."""
    return _web_address(value, "http")


def read_proxy(value: object, context: ValidationInfo) -> SecretStr | Literal["environment"]:
    """Allow such a URL as a secret, and the word for the proxies of the environment."""
    if value == ENVIRONMENT:
        return ENVIRONMENT
    return SecretStr(check_proxy(read_secret(value, context).get_secret_value()))


def check_without_proxy(value: object) -> str:
    """Allow what can stand in NO_PROXY."""
    written = string(value, "a host or a network")
    if written != "*" and not (_is_network(written) or _is_place(_BELOW.sub("", written))):
        allowed = 'must be HOST or HOST:PORT, an address, a network such as 10.0.0.0/8, or "*"'
        raise ValueError(f"not a host or a network; {allowed}")
    return written


def _is_network(written: str) -> bool:
    try:
        network(written)
    except ValueError:
        return False
    return True


def _is_place(written: str) -> bool:
    """Return whether it is a host, with or without a port, as a request has it."""
    try:
        port_of(written)
    except ValueError:
        return False
    return written.isascii()


def check_bootstrap(servers: str) -> str:
    """Allow host:port[,host:port], or the embedded broker."""
    if servers == EMBEDDED:
        return servers
    addresses = [address.strip() for address in servers.split(",")]
    if not all(map(_is_server, addresses)):
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


def check_dns_server(value: object) -> str:
    """Allow IP addresses with or without a port; return them with one."""
    address = string(value, "the address of a DNS server")
    try:
        port = port_of(address)
        place = address if port is None else address.rpartition(":")[0]
        ipaddress.ip_address(place.rstrip(":").strip("[]"))
    except ValueError:
        allowed = "must be IPV4, IPV4:PORT, [IPV6] or [IPV6]:PORT"
        raise ValueError(f"not the address of a DNS server; {allowed}") from None
    return f"{place.rstrip(':')}:{port or _DNS_PORT}"


def check_denied(value: object) -> str:
    """Allow networks, single addresses and the word for all that is not public."""
    written = string(value, f'"{PRIVATE}" or a network')
    if written == PRIVATE:
        return written
    try:
        return str(network(written))
    except ValueError:
        allowed = f'must be "{PRIVATE}", an address, or a network such as 10.0.0.0/8'
        raise ValueError(f"not a network; {allowed}") from None


def check_network(value: object) -> str:
    """Allow networks and single addresses."""
    try:
        return str(network(string(value, "a network")))
    except ValueError:
        raise ValueError("not a network; must be an address, or a network such as 10.0.0.0/8") from None


def check_target(value: object) -> str:
    """Allow hosts, `*.` before a domain for all hosts below it, networks, and `*` for every host."""
    written = string(value, "a host or a network")
    if written == _EVERY:
        return written
    try:
        return str(network(written))
    except ValueError:
        host = written.removeprefix(_BELOW_DOMAIN)
    try:
        check_host(host)
        sent = _in_ascii(host)
    except ValueError:
        allowed = 'must be HOST, *.DOMAIN, an address, a network such as 10.0.0.0/8, or "*"'
        raise ValueError(f"not a host or a network; {allowed}") from None
    return written.removesuffix(host) + sent.rstrip(".")


def is_target(host: str, targets: Iterable[str]) -> bool:
    """Return whether a URL's host, without brackets and in IDNA, is one of those that `check_target` allows.

    A network means addresses, no names: a name may lead anywhere.
    """
    host = host.lower().rstrip(".")
    try:
        address = network(host).network_address
    except ValueError:
        return any(each in (_EVERY, host) or _is_below(host, each) for each in targets)
    return any(each == _EVERY or (_is_network(each) and address in network(each)) for each in targets)


def _is_below(host: str, target: str) -> bool:
    return target.startswith(_BELOW_DOMAIN) and host.endswith(target[1:])


def check_connectivity_target(value: object) -> str:
    """Allow what can be connected to: a host with a port, or a URL."""
    written = string(value, "HOST:PORT or a URL")
    if "://" in written:
        return check_url(written)
    if not _is_server(written):
        raise ValueError("not a host and a port; must be HOST:PORT, [IPV6]:PORT or a URL")
    return written


def network(written: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return a network, or one address as a network. IPv4 that is written as IPv6 (`::ffff:…`) becomes IPv4.

    Raises:
        ValueError: it is neither.

    """
    read = ipaddress.ip_network(written)
    if isinstance(read, ipaddress.IPv6Network) and read.subnet_of(IPV4_MAPPED):
        ipv4 = ipaddress.IPv4Address(int(read.network_address) & 0xFFFFFFFF)
        return ipaddress.IPv4Network((ipv4, read.prefixlen - IPV4_MAPPED.prefixlen))
    return read
