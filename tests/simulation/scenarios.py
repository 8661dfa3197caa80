"""What happens to the processes of a location. In each scenario, no slot may be missing."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.account import Account
from tests.simulation.location import Location

Happens = Callable[[Location], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens, and in which surroundings."""

    name: str
    happens: Happens
    taken_over_s: float = 10.0
    """After how long others must have noticed 99 % of the deaths."""
    skew_s: float = 0.0
    processes: tuple[int, ...] = (2, 3, 4)

    def simulate(self, seed: int) -> Account:
        """Return what came of a minute; the seed decides everything that is left to chance."""
        location = Location(f"{self.name} {seed}", skew_s=self.skew_s, processes=self.processes)
        self.happens(location)
        return location.end(60.0)


def changes(*gaps_s: tuple[float, float], amount: tuple[int, int] = (4, 6)) -> Happens:
    """Start and stop processes."""

    def happens(location: Location) -> None:
        at_s, gap_s = location.calm_s(), location.chance.choice(gaps_s)
        for _ in range(location.chance.randint(*amount)):
            location.later(at_s, location.chance.choice([location.start, location.stop, location.stop]))
            at_s += location.chance.uniform(*gap_s)

    return happens


planned = changes((0, 4), (0, 12), (4, 12))


def kill(location: Location) -> None:
    location.later(location.calm_s(), location.kill)


def two_kills(location: Location) -> None:
    at_s = location.calm_s()
    location.later(at_s, location.kill)
    location.later(at_s + location.chance.uniform(0, 12), location.kill)


def restart(location: Location) -> None:
    """Kill one, and start another in its place at once."""
    at_s = location.calm_s()
    location.later(at_s, location.kill)
    location.later(at_s + location.chance.uniform(0.5, 3), location.start)


def kill_of_a_leaver(location: Location) -> None:
    def leave() -> None:
        if one := location.one():
            one.stop()
            location.later(location.chance.uniform(0, 3), lambda: location.kill(one))

    location.later(location.calm_s(), leave)


def freeze(location: Location) -> None:
    location.later(location.calm_s(), lambda: location.freeze(location.chance.uniform(3, 30)))


def cut(location: Location) -> None:
    location.later(location.calm_s(), lambda: location.cut(location.chance.uniform(2, 30)))


def starts_without_coordinator(location: Location) -> None:
    away_s = location.chance.uniform(2, 40)
    location.group.go_away()
    location.later(away_s, location.group.come_back)
    location.later(location.calm_s(), location.start)


def coordinator_away_and_a_kill(location: Location) -> None:
    at_s = location.calm_s()
    away_s = location.chance.uniform(1, 12)
    location.later(at_s, location.group.go_away)
    location.later(at_s + away_s, location.group.come_back)
    location.later(at_s + location.chance.uniform(0, away_s), location.kill)


SCENARIOS = (
    Scenario("planned changes, four or more", planned),
    Scenario("planned, clocks up to 3 s apart", planned, skew_s=3.0),
    Scenario("a change each 0 to 3 s", changes((0, 3), amount=(8, 12))),
    Scenario("a kill", kill),
    Scenario("a kill, clocks up to 3 s apart", kill, skew_s=3.0),
    Scenario("two kills within 12 s", two_kills, taken_over_s=14.0, processes=(3, 4, 5)),
    Scenario("a restart", restart),
    Scenario("a leaver is killed", kill_of_a_leaver),
    Scenario("a freeze of 3 to 30 s", freeze),
    Scenario("cut off from Kafka for 2 to 30 s", cut),
    Scenario("the coordinator away at a start", starts_without_coordinator),
    Scenario("the coordinator away and a kill", coordinator_away_and_a_kill, taken_over_s=20.0),
)
