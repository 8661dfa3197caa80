"""Several brokers of Apache Kafka, each behind a proxy, to be broken together or one at a time."""

from collections.abc import Sequence
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from tests.apache_kafka import ApacheKafka
from tests.ports import free_ports
from tests.tcp_proxy import TcpProxy


class Cluster:
    """Brokers that replicate each other's records, and all vote for the controller.

    Each has so many ports for `proxies`.
    """

    def __init__(self, directory: Path, count: int, proxies: int = 1) -> None:
        controllers = free_ports(count)
        self.brokers: list[ApacheKafka] = []
        for number in range(1, count + 1):
            (directory / str(number)).mkdir()
            self.brokers.append(ApacheKafka(directory / str(number), number, controllers, proxies))

    @property
    def bootstrap(self) -> str:
        """Past the proxies."""
        return ",".join(broker.bootstrap("PLAINTEXT") for broker in self.brokers)

    def proxied(self, place: int = 0) -> str:
        return ",".join(f"127.0.0.1:{broker.proxy_ports[place]}" for broker in self.brokers)

    @property
    def replicas(self) -> int:
        return min(3, len(self.brokers))

    def start(self) -> None:
        missing = [broker for broker in self.brokers if not broker.runs]
        for broker in missing:
            broker.launch()
        for broker in missing:
            broker.until_it_answers()

    def kill(self) -> None:
        for broker in self.brokers:
            broker.kill()

    def pause(self) -> None:
        for broker in self.brokers:
            broker.pause()

    def resume(self) -> None:
        for broker in self.brokers:
            broker.resume()

    async def leader(self, topic: str) -> ApacheKafka:
        """Find the broker that leads the topic's first partition."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            (described,) = await admin.describe_topics([topic])
        finally:
            await admin.close()
        leaders: dict[int, int] = {each["partition"]: each["leader"] for each in described["partitions"]}
        return self.brokers[leaders[0] - 1]

    async def coordinator(self, group: str) -> ApacheKafka:
        """Find the broker that coordinates the consumer group."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            number: int = await admin.find_coordinator(group)
        finally:
            await admin.close()
        return self.brokers[number - 1]


class Network:
    """The proxies before all brokers: one of each broker's."""

    def __init__(self, brokers: Sequence[ApacheKafka], place: int = 0) -> None:
        self._proxies = [
            TcpProxy(broker.proxy_ports[place], broker.port(f"PROXIED{place}")) for broker in brokers
        ]

    async def start(self) -> None:
        for proxy in self._proxies:
            await proxy.start()

    def hold_replies(self) -> None:
        for proxy in self._proxies:
            proxy.hold_replies()

    def black_hole(self) -> None:
        for proxy in self._proxies:
            proxy.black_hole()

    def cut(self) -> None:
        for proxy in self._proxies:
            proxy.cut()

    async def refuse(self) -> None:
        for proxy in self._proxies:
            await proxy.refuse()

    async def stop(self) -> None:
        for proxy in self._proxies:
            await proxy.stop()
