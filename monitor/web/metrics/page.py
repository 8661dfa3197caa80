"""`/metrics`, for Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

_END = b"# EOF\n"
_COMPRESSED_HERE = 65_536  # bytes; more are compressed in a thread


class MetricsPage:
    """Sends what the registry collects after `refresh`, and then `parts`.

    The argument of `parts` is whether the format is OpenMetrics.
    Only one page is made at a time, because it may be large.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        refresh: Callable[[], Awaitable[None]],
        parts: Callable[[bool], Awaitable[list[bytes]]],
    ) -> None:
        self._registry = registry
        self._refresh = refresh
        self._parts = parts
        self._one = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/metrics", self._metrics)]

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        async with self._one:
            await self._refresh()
            registered = encode(self._registry)
            openmetrics = registered.endswith(_END)
            parts = [registered.removesuffix(_END), *await self._parts(openmetrics)]
        body = b"".join((*parts, _END) if openmetrics else parts)
        response = web.Response(
            body=body, headers={"Content-Type": content_type}, zlib_executor_size=_COMPRESSED_HERE
        )
        response.enable_compression()
        return response
