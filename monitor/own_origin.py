"""What a redirect to another origin does not get.

aiohttp 3.14 takes Authorization, Cookie and Proxy-Authorization away by itself, but
sends all other headers, the body and the client's certificate on to wherever it is led.
"""

import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
from yarl import URL

from monitor.timing import current

_HARMLESS = ("accept", "user-agent")  # these, and those that begin with Accept-


class OwnOriginRequest(aiohttp.ClientRequest):
    """A request that is itself on its own `origin` only.

    Once a redirect has led away from that, no hop gets a configured header except
    User-Agent and Accept…, the body, or the client's certificate; not even the own
    origin, since another chose what is asked of it.
    """

    def __init__(
        self,
        method: str,
        url: URL,
        *,
        origin: URL,
        tls_elsewhere: Callable[[], ssl.SSLContext],
        **request: Any,
    ) -> None:
        timing = current.get()
        timing.strayed = timing.strayed or url.origin() != origin
        if timing.strayed:
            request["headers"] = {
                name: value for name, value in request["headers"].items() if _is_harmless(name.lower())
            }
            request["data"] = None
            request["ssl"] = tls_elsewhere()
        super().__init__(method, url, **request)


def _is_harmless(name: str) -> bool:
    return name in _HARMLESS or name.startswith("accept-")
