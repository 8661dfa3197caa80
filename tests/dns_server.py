"""A DNS server on loopback that answers each question as a test wants."""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

Reply = bytes | None
Respond = Callable[[dns.message.Message], Reply]
StartDns = Callable[[Respond], "DnsServer"]


class DnsServer:
    """Sends what `respond` returns (`None`: nothing), and over TCP what `respond_on_stream` returns.

    Over UDP, it sends so many `copies`, after so many datagrams of `noise`.
    """

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.respond_on_stream: Respond = lambda _: None
        self.copies = 1
        self.noise = 0
        self.asked: list[str] = []
        self._socket, self._stream = _one_port_for_both()
        self.address = "{}:{}".format(*self._socket.getsockname())
        self._ended = False
        self._threads = [threading.Thread(target=each) for each in (self._answer, self._answer_streams)]
        for each in self._threads:
            each.start()

    def end(self) -> None:
        self._ended = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        socket.create_connection(self._stream.getsockname()).close()
        for each in self._threads:
            each.join()
        self._socket.close()
        self._stream.close()

    def _answer(self) -> None:
        while not self._ended:
            wire, client = self._socket.recvfrom(65535)
            if wire:
                question = dns.message.from_wire(wire)
                self.asked.append(question.question[0].to_text())
                reply = self.respond(question)
                for _ in range(self.noise):
                    self._socket.sendto(b"noise", client)
                for _ in range(self.copies if reply is not None else 0):
                    self._socket.sendto(reply or b"", client)

    def _answer_streams(self) -> None:
        while not self._ended:
            connection, _ = self._stream.accept()
            with connection, suppress(OSError):
                if wire := connection.recv(65535):
                    reply = self.respond_on_stream(dns.message.from_wire(wire[2:]))
                    if reply is not None:
                        connection.sendall(len(reply).to_bytes(2) + reply)


def _one_port_for_both() -> tuple[socket.socket, socket.socket]:
    while True:
        datagrams, stream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        datagrams.bind(("127.0.0.1", 0))
        try:
            stream.bind(datagrams.getsockname())
        except OSError:  # another program has it for TCP
            datagrams.close()
            stream.close()
        else:
            stream.listen()
            return datagrams, stream


def responding_with(
    *addresses: str, alias: str | None = None, code: int = dns.rcode.NOERROR, flags: int = 0
) -> Respond:
    """Return what responds to every question with the addresses of its type, or with a code."""

    def respond(question: dns.message.Message) -> Reply:
        response = dns.message.make_response(question)
        response.set_rcode(dns.rcode.Rcode(code))
        response.flags |= flags
        asked = question.question[0]
        name = asked.name
        if alias is not None:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", alias))
            name = response.answer[0][0].target
        kind = {4: "A", 6: "AAAA"}
        fitting = [
            each for each in addresses if kind[ipaddress.ip_address(each).version] in asked.to_text().split()
        ]
        if fitting:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", asked.to_text().split()[-1], *fitting))
        return response.to_wire()

    return respond


def no_response(_: dns.message.Message) -> Reply:
    """Do not answer."""
    return None


@pytest.fixture
def start_dns() -> Iterator[StartDns]:
    with ExitStack() as stack:

        def start(respond: Respond) -> DnsServer:
            server = DnsServer(respond)
            stack.callback(server.end)
            return server

        yield start
