"""`/metrics`, for Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

_END = b"# EOF\n"

Text = Callable[[bool], Awaitable[str]]


class MetricsPage:
    """What the registry collects after `refresh`, and `text`, which is told whether to be OpenMetrics.

    One page at a time is made: it may be large.
    """

    def __init__(
        self, registry: CollectorRegistry, refresh: Callable[[], Awaitable[None]], text: Text
    ) -> None:
        self._registry = registry
        self._refresh = refresh
        self._text = text
        self._one = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Give the page."""
        return [web.get("/metrics", self._metrics)]

    async def _metrics(self, request: web.Request) -> web.Response:
        async with self._one:
            await self._refresh()
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
            body = encode(self._registry)
            openmetrics = body.endswith(_END)
            body = body.removesuffix(_END) + (await self._text(openmetrics)).encode()
            response = web.Response(
                body=body + _END if openmetrics else body, headers={"Content-Type": content_type}
            )
            response.enable_compression()
            return response
