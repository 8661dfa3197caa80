"""What takes alerts in tests: a real mail server, a real HTTP server, and one that never answers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.smtp import SMTP


class HttpReceiver:
    """Answers with `statuses` in turn, then 200, when `hold` is set, and keeps what came.

    What has `refused` in it is always answered with 500.
    """

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.refused: bytes | None = None
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.url = ""
        self.came = asyncio.Event()
        self.hold: asyncio.Event | None = None

    async def take(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.read()))
        self.came.set()
        if self.hold:
            await self.hold.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        if self.refused and self.refused in self.requests[-1][1]:
            status = 500
        return web.Response(status=status, headers={"Location": "/"} if status == 302 else {})

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")


@asynccontextmanager
async def serving(receiver: HttpReceiver) -> AsyncIterator[None]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.fixture
async def receiver() -> AsyncIterator[HttpReceiver]:
    """A real HTTP server that takes alerts."""
    made = HttpReceiver()
    async with serving(made):
        yield made


class MailServer:
    """Keeps mails; refuses recipients by their name: `unknown@`, `busy@`."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.address = ""

    async def handle_RCPT(self, _: Any, __: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802, ARG002
        if address.startswith("unknown"):
            return "550 no such user"
        if address.startswith("busy"):
            return "451 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    def url(self, to: str) -> str:
        return f"mailto://{self.address}/?from=monitor@example.org&to={to}@example.org&mode=insecure"


@pytest.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    """A real SMTP server."""
    made = MailServer()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(made, hostname="localhost"), "127.0.0.1", 0
    )
    made.address = "{}:{}".format(*server.sockets[0].getsockname())
    async with server:
        yield made


@pytest.fixture
def hanging_receiver() -> Iterator[str]:
    """The host and port of one that takes connections, and never answers until the test ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
