"""DNS look-ups that delay nothing else, by the system or by the servers of a monitor's `resolver`."""

import asyncio
import errno
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import dns.exception
import dns.message
import dns.rcode
from aiohttp.abc import AbstractResolver, ResolveResult
from dns.rdatatype import AAAA, A, RdataType

from monitor.probe.addresses import Answered, NoAddressError, resolved
from monitor.probe.dns_exchange import ask
from monitor.result import DnsAnswer, Reason

# What `socket.getaddrinfo` takes and returns.
GetAddrInfo = Callable[..., list[tuple[Any, Any, Any, Any, tuple[Any, ...]]]]

OWN_TROUBLE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""The errors of a machine that has no file descriptor or no memory left."""

_MAX_ANSWER_S = 2.0  # to wait for one server
_ROUNDS = 2  # a datagram can get lost
_TYPES = {socket.AF_UNSPEC: (AAAA, A), socket.AF_INET: (A,), socket.AF_INET6: (AAAA,)}


class SystemResolver(AbstractResolver):
    """Looks names up with the system's `getaddrinfo`, in at most `max_lookups` threads.

    The event loop's own look-ups share a few threads (uvloop: 4), so that a few names that hang
    would hold up every check. Here each name has a thread of its own while it is looked up.
    They are daemon threads: one that hangs does not delay the end of the program.

    Checks that need the same name at the same time share one look-up: a name that hangs
    takes one thread, however many checks wait for it and time out.
    """

    def __init__(self, max_lookups: int, getaddrinfo: GetAddrInfo) -> None:
        self._max_lookups = max_lookups
        self._getaddrinfo = getaddrinfo
        self._loop = asyncio.get_running_loop()
        self._wanted: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
        self._waiting: dict[tuple[str, int], list[asyncio.Future[list[str]]]] = {}
        self._threads = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host, in the system's order.

        Cancelling leaves the look-up running, for others that need it.

        Raises:
            OSError: a `socket.gaierror` with its `EAI_` code, or the error of a system call.
            RuntimeError: there is no thread, and none can be started.

        """
        key = (host, int(family))
        if key not in self._waiting:
            if self._threads <= len(self._waiting):
                self._start_thread()
            self._waiting[key] = []
            self._wanted.put(key)
        found: asyncio.Future[list[str]] = self._loop.create_future()
        self._waiting[key].append(found)
        return [resolved(host, address, port) for address in await found]

    async def close(self) -> None:
        """End the threads, without waiting for those that hang."""
        for _ in range(self._threads):
            self._wanted.put(None)

    def _start_thread(self) -> None:
        if self._threads == self._max_lookups:
            return
        try:
            threading.Thread(target=self._run_look_ups, name="look-up", daemon=True).start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads += 1

    def _run_look_ups(self) -> None:
        while (key := self._wanted.get()) is not None:
            host, family = key
            answer: list[str] | OSError | MemoryError
            try:
                found = self._getaddrinfo(
                    host, None, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                )
                answer = [_with_scope(*place) for *_, place in found]
            except UnicodeError:
                answer = socket.gaierror(socket.EAI_NONAME, "not a host name")
            except (OSError, MemoryError) as error:
                answer = error
            with suppress(RuntimeError):  # the event loop has closed
                self._loop.call_soon_threadsafe(self._answer, key, answer)

    def _answer(self, key: tuple[str, int], answer: list[str] | OSError | MemoryError) -> None:
        for found in self._waiting.pop(key):
            if found.done():
                continue
            if isinstance(answer, list):
                found.set_result(answer)
            else:
                found.set_exception(answer)


def _with_scope(host: str, _port: int, _flow: int = 0, scope: int = 0) -> str:
    return f"{host}%{scope}" if scope else host


class DnsResolver(AbstractResolver):
    """Asks the first of `servers` (HOST:PORT) that answers, within `limit_s` and in two rounds.

    The next server is asked when one does not answer within its share of the limit (at most
    2 s), or answers with an error. A and AAAA are asked for at the same time; if one of them
    is found, the other may fail. Names are asked for as they are: no search domains, no hosts
    file, no cache.
    """

    def __init__(self, servers: Sequence[str], limit_s: float) -> None:
        self._servers = servers
        self._answer_s = min(_MAX_ANSWER_S, limit_s / _ROUNDS / len(servers))

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host, IPv6 before IPv4.

        Raises:
            NoAddressError: there is none, or no server gave an answer.
            OSError: this machine could not ask.

        """
        found = await asyncio.gather(
            *(self._find(host, kind) for kind in _TYPES[family]), return_exceptions=True
        )
        answers = [each for each in found if isinstance(each, DnsAnswer)]
        answered = Answered(resolved(host, address, port) for each in answers for address in each.addresses)
        errors = [
            DnsAnswer(host, error=each.detail)
            for each in found
            if isinstance(each, NoAddressError)
            and (each.reason is not Reason.DNS_NOT_FOUND or not answers)  # most hosts have no IPv6 address
        ]
        answered.answers = [*errors, *answers]
        if answered:
            return answered
        error = max((each for each in found if isinstance(each, BaseException)), key=_weight)
        if isinstance(error, NoAddressError):
            error.answered = answered
        raise error

    async def close(self) -> None:
        """Do nothing: each question has a connection of its own."""

    async def _find(self, host: str, kind: RdataType) -> DnsAnswer:
        try:
            question = dns.message.make_query(f"{host.rstrip('.')}.", kind)
        except dns.exception.DNSException:
            raise NoAddressError(Reason.DNS_NOT_FOUND, f"{host[:200]} is not a valid DNS name") from None
        failure = NoAddressError(
            Reason.DNS_TIMEOUT, f"no answer about {host} from {', '.join(self._servers)}"
        )
        for server in [*self._servers] * _ROUNDS:
            try:
                return await self._ask(server, question, host)
            except TimeoutError:
                continue
            except NoAddressError as error:
                if error.reason is Reason.DNS_NOT_FOUND:
                    raise
                failure = error
        raise failure

    async def _ask(self, server: str, question: dns.message.Message, host: str) -> DnsAnswer:
        place, _, port = server.rpartition(":")
        try:
            async with asyncio.timeout(self._answer_s):
                response = await ask(place.strip("[]"), int(port), question)
            return _answer(response, server, host)
        except OSError as error:
            if isinstance(error, NoAddressError | TimeoutError) or error.errno in OWN_TROUBLE:
                raise
            trouble = f"{server} cannot be asked about {host}: {error.strerror}"
        except EOFError:
            trouble = f"{server} closed the connection when asked about {host}"
        except dns.exception.DNSException:
            trouble = f"{server} sent an invalid answer about {host}"
        raise NoAddressError(Reason.DNS_ERROR, trouble)


def _answer(response: dns.message.Message, server: str, host: str) -> DnsAnswer:
    assert isinstance(response, dns.message.QueryMessage)  # noqa: S101 - for the type checker
    code = response.rcode()
    if code == dns.rcode.NXDOMAIN:
        raise NoAddressError(Reason.DNS_NOT_FOUND, f"{server} answered that {host} does not exist")
    if code != dns.rcode.NOERROR:
        raise NoAddressError(Reason.DNS_ERROR, f"{server} answered {dns.rcode.to_text(code)} about {host}")
    chain = response.resolve_chaining()
    if chain.answer is None:
        raise NoAddressError(Reason.DNS_NOT_FOUND, f"{server} has no address of {host}")
    addresses = tuple(record.address for record in chain.answer)
    return DnsAnswer(host, addresses, chain.minimum_ttl, server)


def _weight(error: BaseException) -> int:
    """Return the rank of an error: own trouble above a failure of DNS above "no address"."""
    if not isinstance(error, NoAddressError):
        return 2
    return 0 if error.reason is Reason.DNS_NOT_FOUND else 1
