"""A location in virtual time: its processes, and what people and machines do to them."""

from collections.abc import Sequence
from functools import cache
from zlib import crc32

from monitor.sharing.process import WhenAlone
from monitor.sharing.shards import SHARDS, shard_of
from tests.simulation.account import Account, Watched
from tests.simulation.coordinator import Group
from tests.simulation.engine import Do, Engine
from tests.simulation.process import Config, Simulated, Surroundings

MONITORS = 64
INTERVALS_S = (5.0, 10.0, 30.0, 60.0)
BEGINS_AT = 1_800_000_000.0
CALM_S = 15.0


@cache
def monitors(prefix: str, amount: int) -> tuple[Watched, ...]:
    return tuple(Watched(f"{prefix}{n}", INTERVALS_S[n % len(INTERVALS_S)]) for n in range(amount))


def config_of(*watched: Watched) -> Config:
    """Return the configuration of these monitors."""
    shards: list[list[str]] = [[] for _ in range(SHARDS)]
    for monitor in watched:
        shards[shard_of(monitor.name)].append(monitor.name)
    return Config(watched, [crc32(" ".join(names).encode()) for names in shards])


COMMON = monitors("m", MONITORS)
OLD_ONLY, NEW_ONLY = monitors("old", 12), monitors("new", 12)
SAME, OLD, NEW = config_of(*COMMON), config_of(*COMMON, *OLD_ONLY), config_of(*COMMON, *NEW_ONLY)


class Location:
    """Processes of one location that begin together."""

    def __init__(
        self,
        seed: str,
        *,
        skew_s: float = 0.0,
        lost: float = 0.0,
        when_alone: WhenAlone = "continue",
        processes: Sequence[int] = (2, 3, 4),
        config: Config = SAME,
    ) -> None:
        self.engine = Engine(seed, BEGINS_AT)
        self.chance = self.engine.chance
        self.engine.now += self.chance.uniform(0, 60)
        self.began_at = self.engine.now
        self.needed_after_s = CALM_S
        self.wrong_s = 0.0
        """How far all clocks are ahead."""
        self.group = Group(self.engine)
        self.account = Account()
        self.config = config
        self.processes: list[Simulated] = []
        self._skew_s = skew_s
        self._around = Surroundings(self.engine, self.group, self.account, lost, when_alone)
        for _ in range(self.chance.choice(processes)):
            self.later(self.chance.uniform(0, 2), self.start)
        self.later(CALM_S - 1, self.account.joined_s.clear)

    def calm_s(self) -> float:
        """Return a time by which all of the first processes have their shares."""
        return CALM_S + self.chance.uniform(0, 10)

    def later(self, delay_s: float, do: Do) -> None:
        self.engine.after(delay_s, do)

    def end(self, after_s: float) -> Account:
        """Go on for so long, and return the account of it."""
        until = self.began_at + after_s
        self.engine.run(until + CALM_S)
        self.account.rounds = self.group.rounds
        for monitor in COMMON:
            self.account.need(monitor, self.began_at + self.needed_after_s, until)
        return self.account

    @property
    def running(self) -> list[Simulated]:
        return [each for each in self.processes if not each.has_ended]

    @property
    def staying(self) -> list[Simulated]:
        return [each for each in self.running if not each.is_stopping]

    def one(self) -> Simulated | None:
        """Return one of those that stay, if another stays as well."""
        staying = self.staying
        return self.chance.choice(staying) if len(staying) > 1 else None

    def ahead_s(self) -> float:
        """Return how far a clock may be ahead: often as far as it may."""
        furthest_s = self._skew_s / 2
        either = [-furthest_s, furthest_s, self.chance.uniform(-furthest_s, furthest_s)]
        return self.wrong_s + self.chance.choice(either)

    def start(self, stored: bytes = b"") -> None:
        name = f"p{len(self.processes) + 1}"
        one = Simulated(name, self._around, self.config, ahead_s=self.ahead_s(), stored=stored)
        self.processes.append(one)

    def stop(self) -> None:
        if one := self.one():
            one.stop()

    def kill(self, one: Simulated | None = None) -> None:
        one = one or self.one()
        if one and not one.has_ended:
            one.kill()

    def freeze(self, for_s: float) -> None:
        if one := self.one():
            one.pause(for_s)
            self.account.frozen.add(one.name)

    def cut(self, for_s: float) -> None:
        if one := self.one():
            one.cut = True
            self.later(for_s, lambda: setattr(one, "cut", False))
