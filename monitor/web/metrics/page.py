"""`/metrics`, for Prometheus."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from monitor.web.clients.requests import takes_coding

_END = b"# EOF\n"
_GZIP = zlib.MAX_WBITS | 16  # zlib's way to ask for a header of gzip


class MetricsPage:
    """Sends what the registry collects after `refresh`, and then `parts`.

    The argument of `parts` is whether the format is OpenMetrics.
    Only one page is made at a time, because it may be large.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        refresh: Callable[[], Awaitable[None]],
        parts: Callable[[bool], AsyncIterator[bytes]],
    ) -> None:
        self._registry = registry
        self._refresh = refresh
        self._parts = parts
        self._one = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/metrics", self._metrics)]

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = _encoder(request.headers.get("Accept", ""))
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        gzip = takes_coding(request.headers, "gzip")
        async with self._one:
            text = self._text(encode)
            parts = [await _compressed(text)] if gzip else [part async for part in text]
        if gzip:
            headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(sum(map(len, parts)))
        return web.Response(body=_one_by_one(parts), headers=headers)

    async def _text(self, encode: Callable[[CollectorRegistry], bytes]) -> AsyncIterator[bytes]:
        await self._refresh()
        registered = encode(self._registry)
        openmetrics = registered.endswith(_END)
        yield registered.removesuffix(_END)
        async for part in self._parts(openmetrics):
            yield part
        if openmetrics:
            yield _END


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """Return what writes the format that is asked for, and its name; plain text where it has no version."""
    try:
        return choose_encoder(accept)
    except TypeError:
        return choose_encoder("")


async def _one_by_one(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Send without a copy of the whole text, which takes the event loop too long."""
    for part in parts:
        yield part


async def _compressed(text: AsyncIterator[bytes]) -> bytes:
    """Return the text as one file of gzip: a thread compresses each part while the next ones are made."""
    loop = asyncio.get_running_loop()
    compressor = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, _GZIP)
    with ThreadPoolExecutor(max_workers=1) as in_turn:
        compressed = [loop.run_in_executor(in_turn, compressor.compress, part) async for part in text]
        return b"".join([*await asyncio.gather(*compressed), compressor.flush()])
