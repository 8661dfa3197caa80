"""What a check sends: the bytes of its first request, and of those that redirects lead to. Pure.

What is configured is for its own origin only. After a redirect has led to another one, no request gets a
configured header except User-Agent and Accept…, nor the body, nor the client's certificate. This holds
for the own origin, too, if a later redirect leads back to it: another site has then chosen what is
requested there.
"""

import os
import re
from base64 import b64encode
from collections.abc import Mapping
from http.cookies import Morsel
from typing import NamedTuple
from urllib.parse import urljoin

from aiohttp import CookieJar
from multidict import CIMultiDict
from yarl import URL

from monitor.config.addresses import ENVIRONMENT
from monitor.config.model import Monitor
from monitor.probe.exchange.decoding import ACCEPTED
from monitor.runtime.hosts.proxies import WithoutProxy, no_proxy_of

MAX_LOCATION = 16_384  # characters that a redirect may have
REDIRECTS = {301, 302, 303, 307, 308}

_USER_AGENT = "website-health-monitor/0.1"
_HARMLESS = ("accept", "user-agent")  # these headers, and those that begin with Accept-
_LENGTHLESS = {"GET", "HEAD", "OPTIONS", "TRACE"}  # without a body, these say nothing about its length
_WITH_TYPE = {"PATCH", "POST", "PUT"}
_OF_A_BODY = ("Content-Encoding", "Content-Language", "Content-Length", "Content-Type")
_BODYLESS = {"CONNECT", "HEAD"}
_SEE_OTHER = 303
_REWRITTEN = {301, 302}  # a POST becomes a GET
_AROUND = "".join(map(chr, range(0x21)))
_AUTHORITY = re.compile(r"[/\\]{2}")
_LINE_ENDS = dict.fromkeys(map(ord, "\t\r\n"))
_PLACE = re.compile(r"//[^/?#]*")
_SOMEWHERE = "http://x"
_UNSAFE = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^!#$%&'()*+,/:;=?@\[\]~0-9A-Za-z._-]")


class Place(NamedTuple):
    """The end of a connection."""

    host: str
    port: int


class Proxy(NamedTuple):
    """A proxy that speaks HTTP."""

    place: Place
    credentials: str | None
    """The value of Proxy-Authorization."""


class Request(NamedTuple):
    """One request, ready to be sent."""

    url: URL
    target: str  # path and query, as they were written
    method: str
    own: bool  # no redirect has left the own origin
    secure: bool
    site: Place
    server_name: str
    head: bytes
    body: bytes
    waits: bool  # for an interim response, before it sends the body
    proxy: Proxy | None

    @property
    def bodyless(self) -> bool:
        """Whether the response has no body."""
        return self.method in _BODYLESS


class Configured:
    """What the requests of one monitor have in common; `environ` may name its proxies."""

    def __init__(
        self, monitor: Monitor, environ: Mapping[str, str] = os.environ, jar: CookieJar | None = None
    ) -> None:
        url = URL(monitor.url)
        self._headers = _headers(monitor, url)
        self._body = monitor.body.get_secret_value().encode() if monitor.body else b""
        self._close = not monitor.reuse_connection
        self._server_names = {_place(url).host: monitor.server_name} if monitor.server_name else {}
        self._proxies = {scheme: _proxy(URL(proxy)) for scheme, proxy in monitor.proxies(environ).items()}
        further = no_proxy_of(environ) if monitor.proxy == ENVIRONMENT else ()
        self._without_proxy = WithoutProxy((*monitor.no_proxy, *further))
        target = _target(_encoded(monitor.url.partition(":")[2]))
        url = url.with_user(None).with_fragment(None)
        cookies = jar.filter_cookies(url) if jar else None
        self.first = self.request(monitor.method, url, target, cookies, own=True)

    def request(
        self,
        method: str,
        url: URL,
        target: str,
        cookies: Mapping[str, Morsel[str]] | None = None,
        *,
        own: bool,
        body: bool = True,
    ) -> Request:
        """Return the request for the target at a URL, with the cookies that the check has got for it.

        Raises:
            ValueError: none can be sent.

        """
        content = self._body if own and body else b""
        headers = CIMultiDict({"Host": url.host_port_subcomponent or ""})
        for name, value in self._headers.items():
            if own or is_harmless(name.lower()):
                headers[name] = value
        _add_credentials(headers, url)
        headers.setdefault("Accept", "*/*")
        headers.setdefault("Accept-Encoding", ACCEPTED)
        if cookies:
            headers["Cookie"] = _with_cookies(headers.get("Cookie", ""), cookies)
        _describe_body(headers, method, content, is_left_out=len(content) < len(self._body))
        secure, site = url.scheme == "https", _place(url)
        proxy = self._proxies.get(url.scheme)
        if proxy is not None and self._without_proxy.has(*site):
            proxy = None
        asked = target
        if proxy is not None and not secure:
            asked = f"{url.origin()}{target}"
            _add_proxy_credentials(headers, proxy)
        if self._close:
            headers.setdefault("Connection", "close")
        return Request(
            url,
            target,
            method,
            own,
            secure,
            site,
            server_name=self._server_names.get(site.host, site.host).rstrip("."),
            head=_head(f"{method} {asked}", headers),
            body=content,
            waits=bool(content) and headers.get("Expect", "").lower() == "100-continue",
            proxy=proxy,
        )


def tunnel_to(request: Request, proxy: Proxy) -> Request:
    """Return what asks the proxy for a connection to the site. Nothing of the site's is in it."""
    authority = f"{request.url.host_subcomponent}:{request.site.port}"
    headers = CIMultiDict({"Host": authority, "User-Agent": _USER_AGENT})
    _add_proxy_credentials(headers, proxy)
    return request._replace(
        method="CONNECT", head=_head(f"CONNECT {authority}", headers), body=b"", waits=False
    )


class Redirect(NamedTuple):
    """What a response leads to."""

    method: str
    url: URL
    target: str
    with_body: bool


def redirected(request: Request, status: int, location: str) -> Redirect | None:
    """Return what a response leads to; `None`: nowhere.

    Raises:
        ValueError: that is no URL of a website.

    """
    if status not in REDIRECTS or not location:
        return None
    if len(location) > MAX_LOCATION:
        raise ValueError("too long")
    location = location.strip(_AROUND).translate(_LINE_ENDS)
    url, target = _followed(request, location)
    url.origin()  # there is none without a host
    url = url.with_fragment(None)
    method = request.method
    if (status == _SEE_OTHER and method != "HEAD") or (status in _REWRITTEN and method == "POST"):
        return Redirect("GET", url, target, with_body=False)
    return Redirect(method, url, target, with_body=True)


def _followed(request: Request, location: str) -> tuple[URL, str]:
    url = URL(location)
    if url.scheme not in ("", "http", "https"):
        raise ValueError("not a website")
    rest = location[len(url.scheme) + 1 :] if url.scheme else location
    if url.scheme not in ("", request.url.scheme) or _AUTHORITY.match(rest):
        return url if url.scheme else request.url.join(url), _target(_encoded(rest))
    # Browsers read a location like `http:path` as relative.
    return request.url.join(url), _merged(request.target, _encoded(rest))


def _target(written: str) -> str:
    """Return path and query as they are written after the scheme and the host."""
    target = _PLACE.sub("", written, count=1).partition("#")[0]
    return target if target.startswith("/") else f"/{target}"


def _merged(base: str, written: str) -> str:
    """Return the target that a relative URL leads to (RFC 3986, 5.2)."""
    path, mark, query = written.partition("#")[0].partition("?")
    base_path, _, _ = base.partition("?")
    if path.startswith("/"):
        return f"{path}{mark}{query}"
    if path:
        return f"{urljoin(_SOMEWHERE + base_path, path).removeprefix(_SOMEWHERE)}{mark}{query}"
    return f"{base_path}{mark}{query}" if mark else base


def _encoded(written: str) -> str:
    """Encode what no URL may contain, and nothing else: a signature may be made of how it is written."""
    raw = written.encode("utf-8", "surrogateescape")
    return _UNSAFE.sub(lambda sign: b"%%%02X" % sign[0][0], raw).decode("ascii")


def _add_credentials(headers: CIMultiDict[str], url: URL) -> None:
    credentials = _credentials_in(url)
    if credentials is not None:
        if "Authorization" in headers:
            raise ValueError("credentials beside those that are configured")
        headers["Authorization"] = credentials


def _proxy(url: URL) -> Proxy:
    return Proxy(_place(url), _credentials_in(url))


def _add_proxy_credentials(headers: CIMultiDict[str], proxy: Proxy) -> None:
    if proxy.credentials is not None:
        headers["Proxy-Authorization"] = proxy.credentials


def _describe_body(headers: CIMultiDict[str], method: str, content: bytes, *, is_left_out: bool) -> None:
    for name in _OF_A_BODY if is_left_out else ():
        headers.popall(name, None)
    if content or method not in _LENGTHLESS:
        headers.setdefault("Content-Length", str(len(content)))
    if content or method in _WITH_TYPE:
        headers.setdefault("Content-Type", "application/octet-stream")


def _with_cookies(configured: str, cookies: Mapping[str, Morsel[str]]) -> str:
    kept = [each.strip() for each in configured.split(";")]
    kept = [each for each in kept if each and each.partition("=")[0] not in cookies]
    return "; ".join(kept + [f"{name}={cookie.coded_value}" for name, cookie in cookies.items()])


def _head(line: str, headers: CIMultiDict[str]) -> bytes:
    lines = [f"{line} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any(forbidden in each for each in lines for forbidden in "\r\n\0"):
        raise ValueError("a line end in a header")
    return "\r\n".join([*lines, "", ""]).encode()


def _place(url: URL) -> Place:
    host = url.raw_host or ""
    # Several dots at the end are read as one.
    return Place(host.rstrip(".") + "." if host.endswith("..") else host, url.port or 0)


def _headers(monitor: Monitor, url: URL) -> dict[str, str]:
    headers = {"User-Agent": _USER_AGENT}
    in_url = _credentials_in(url)
    if monitor.bearer_token:
        headers["Authorization"] = f"Bearer {monitor.bearer_token.get_secret_value()}"
    elif monitor.basic_auth:
        headers["Authorization"] = _basic(
            monitor.basic_auth.username, monitor.basic_auth.password.get_secret_value()
        )
    elif in_url is not None:
        headers["Authorization"] = in_url
    for name, value in monitor.headers.items():
        headers = {kept: text for kept, text in headers.items() if kept.lower() != name.lower()}
        headers[name] = value.get_secret_value()
    return headers


def _credentials_in(url: URL) -> str | None:
    if url.user is None and url.password is None:
        return None
    return _basic(url.user or "", url.password or "")


def _basic(username: str, password: str) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def is_harmless(header: str) -> bool:
    """Return whether other origins may get a header of this name, in small letters."""
    return header in _HARMLESS or header.startswith("accept-")
