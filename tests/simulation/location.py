"""A location in virtual time: its processes, and what people and machines do to them."""

import logging
from collections.abc import Sequence

from tests.simulation.account import Account, Watched
from tests.simulation.coordinator import Group
from tests.simulation.engine import Do, Engine
from tests.simulation.process import Simulated

INTERVALS_S = (5.0, 10.0, 30.0, 60.0)
MONITORS = [Watched(f"m{number}", INTERVALS_S[number % 4]) for number in range(64)]
BEGINS_AT = 1_800_000_000.0
CALM_S = 15.0


class Location:
    """Processes of one location that begin together."""

    def __init__(self, seed: str, *, skew_s: float, processes: Sequence[int]) -> None:
        self.engine = Engine(seed, BEGINS_AT)
        self.chance = self.engine.chance
        self.engine.now += self.chance.uniform(0, 60)
        self.began_at = self.engine.now
        self.group = Group(self.engine)
        self.account = Account()
        self.processes: list[Simulated] = []
        self._skew_s = skew_s
        for _ in range(self.chance.choice(processes)):
            self.later(self.chance.uniform(0, 2), self.start)

    def calm_s(self) -> float:
        """Return a time by which all of the first processes have their shares."""
        return CALM_S + self.chance.uniform(0, 10)

    def later(self, delay_s: float, do: Do) -> None:
        self.engine.after(delay_s, do)

    def end(self, after_s: float) -> Account:
        """Go on for so long, and return the account of it."""
        until = self.began_at + after_s
        logging.disable()  # hundreds of processes that warn of Kafka
        try:
            self.engine.run(until + 2 * CALM_S)
        finally:
            for each in self.processes:
                each.close()
            logging.disable(logging.NOTSET)
        for monitor in MONITORS:
            self.account.need(monitor, self.began_at + CALM_S, until)
        return self.account

    @property
    def staying(self) -> list[Simulated]:
        return [each for each in self.processes if not (each.has_ended or each.is_stopping)]

    def one(self) -> Simulated | None:
        """Return one of those that stay, if another stays as well."""
        staying = self.staying
        return self.chance.choice(staying) if len(staying) > 1 else None

    def start(self) -> None:
        name = f"p{len(self.processes) + 1}"
        ahead_s = self.chance.uniform(-self._skew_s / 2, self._skew_s / 2)
        one = Simulated(name, self.engine, self.group, self.account, MONITORS, ahead_s=ahead_s)
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

    def cut(self, for_s: float) -> None:
        if one := self.one():
            one.wire.cut = True
            self.later(for_s, lambda: setattr(one.wire, "cut", False))
