"""What happens to the processes of a location, and what is promised of their slots then."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from monitor.sharing.process import WhenAlone
from tests.simulation.account import Account
from tests.simulation.location import NEW, NEW_ONLY, OLD, OLD_ONLY, SAME, Location
from tests.simulation.process import GRACE_S, Config, Simulated

Happens = Callable[[Location], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens, in which surroundings, and what may come of it."""

    name: str
    happens: Happens
    most: int | None = 1
    """How often a slot may be run; `None`: there is no promise."""
    complete: bool = True
    """Whether no slot may be missing."""
    cut_off: bool = False
    """Whether a stop may be ended by its limit, as after a death: a clock may be set while it hands over."""
    taken_over_s: float = 10.0
    """How long after a death others must have taken over."""
    joined_s: float = 10.0
    """How long after its start a process must have its share."""
    rounds: float = 12.0
    """How many rounds the group may need, on an average."""
    lasts_s: float = 60.0
    skew_s: float = 0.0
    lost: float = 0.0
    when_alone: WhenAlone = "continue"
    processes: tuple[int, ...] = (2, 3, 4)
    config: Config = SAME

    def simulate(self, seed: int) -> Account:
        """Return what came of it; the seed decides everything that is left to chance."""
        location = Location(
            f"{self.name} {seed}",
            skew_s=self.skew_s,
            lost=self.lost,
            when_alone=self.when_alone,
            processes=self.processes,
            config=self.config,
        )
        self.happens(location)
        return location.end(self.lasts_s)


# People change something.


def changes(*gaps_s: tuple[float, float]) -> Happens:
    def happens(location: Location) -> None:
        at_s, gap_s = location.calm_s(), location.chance.choice(gaps_s)
        for _ in range(location.chance.randint(2, 5)):
            location.later(at_s, location.chance.choice([location.start, location.stop, location.stop]))
            at_s += location.chance.uniform(*gap_s)

    return happens


planned = changes((0, 4), (0, 12), (4, 12))


def upgrade(location: Location) -> None:
    """Replace each process by one of a new version, the next when the new one runs."""

    def replace(left: list[Simulated]) -> None:
        if left:
            left[0].stop()
            await_end(left)

    def await_end(left: list[Simulated]) -> None:
        if left[0].has_ended:
            location.start()
            location.later(location.chance.uniform(1, 5), partial(replace, left[1:]))
        else:
            location.later(0.5, partial(await_end, left))

    location.later(location.calm_s(), lambda: replace(location.running))


def come_and_go(location: Location) -> None:
    """Start one and stop it within seconds, several times."""

    def come() -> None:
        location.start()
        location.later(location.chance.uniform(0, 3), location.processes[-1].stop)

    at_s = location.calm_s()
    for _ in range(3):
        location.later(at_s, come)
        at_s += location.chance.uniform(0, 12)


def reloads(within_s: float) -> Happens:
    """Let all read a new file, each at some time; what only one of the files has is checked as well."""

    def happens(location: Location) -> None:
        first_s = location.calm_s()
        ends_s = [first_s, *(first_s + location.chance.uniform(0, within_s) for _ in range(4))]

        def begin() -> None:
            for one, at_s in zip(location.running, ends_s, strict=False):
                location.later(at_s - first_s, partial(one.reload, NEW))
            last_s = max(ends_s[: len(location.running)])
            for monitor in NEW_ONLY:
                location.account.need(monitor, location.began_at + first_s, location.began_at + 60)
            for monitor in OLD_ONLY:
                location.account.need(
                    monitor,
                    location.began_at + location.needed_after_s,
                    location.began_at + (last_s - 14 if last_s > first_s + 14 else first_s),
                )

        location.later(first_s, begin)

    return happens


# Machines and networks fail.


def pauses(location: Location) -> None:
    """Let loops pause for up to 4.9 s."""

    def pause() -> None:
        for one in location.running:
            if location.chance.random() < 1 / 3:
                one.pause(location.chance.uniform(0.5, 4.9))

    for _ in range(location.chance.randint(3, 10)):
        location.later(location.chance.uniform(10, 60), pause)


def start_before_pause(location: Location) -> None:
    """Start one, and let the group wait for another."""

    def start() -> None:
        location.chance.choice(location.running).pause(location.chance.uniform(3, 4.9))
        location.start()

    location.later(location.calm_s(), start)


def clocks_are_set(location: Location) -> None:
    def set_clock() -> None:
        location.chance.choice(location.running).ahead_s = location.ahead_s()

    for _ in range(location.chance.randint(1, 4)):
        location.later(location.chance.uniform(10, 60), set_clock)


def an_hour_ahead(location: Location) -> None:
    """Let all clocks be wrong from the start on, and set them right after some time."""
    location.wrong_s = 3_600
    location.needed_after_s = 75  # by then each check that was waited for has been made

    def set_clocks() -> None:
        location.wrong_s = 0
        for one in location.running:
            one.ahead_s = location.ahead_s()

    location.later(location.chance.uniform(12, 14), set_clocks)


def kill(location: Location) -> None:
    location.later(location.calm_s(), location.kill)


def kill_before_pauses(location: Location) -> None:
    """Let the others pause when they are about to notice a death."""

    def pause() -> None:
        for one in location.staying:
            location.later(location.chance.uniform(4, 7), partial(one.pause, location.chance.uniform(3, 4.9)))

    at_s = location.calm_s()
    location.later(at_s, location.kill)
    location.later(at_s, pause)


def kill_of_a_leaver(location: Location) -> None:
    def leave() -> None:
        if one := location.one():
            one.stop()
            location.later(location.chance.uniform(0, 6), lambda: location.kill(one))

    location.later(location.calm_s(), leave)


def two_kills(location: Location) -> None:
    at_s = location.calm_s()
    location.later(at_s, location.kill)
    location.later(at_s + location.chance.uniform(0, 12), location.kill)


def freeze(location: Location) -> None:
    location.later(location.calm_s(), lambda: location.freeze(location.chance.uniform(3, 30)))


def cut(location: Location) -> None:
    location.later(location.calm_s(), lambda: location.cut(location.chance.uniform(2, 30)))


def coordinator_away(location: Location) -> None:
    at_s = location.calm_s()
    location.later(at_s, location.group.go_away)
    location.later(at_s + location.chance.uniform(1, 30), location.group.come_back)


def starts_without_coordinator(shortest_s: float, longest_s: float) -> Happens:
    def happens(location: Location) -> None:
        away_s = location.chance.uniform(shortest_s, longest_s)
        location.group.go_away()
        location.later(away_s, location.group.come_back)
        location.later(away_s - 1, location.start)
        location.needed_after_s = min(away_s + 15, 24)

    return happens


def restarts_without_coordinator(location: Location) -> None:
    """Restart all while the coordinator is away: they go by what they have stored."""
    at_s = location.calm_s()

    def restart() -> None:
        for one in location.running:
            one.stop()
            location.later(GRACE_S + location.chance.uniform(0, 2), partial(location.start, one.stored))

    location.later(at_s, location.group.go_away)
    location.later(at_s + 1, restart)
    location.needed_after_s = at_s + 1 + GRACE_S + 2 + 21
    location.later(location.needed_after_s + location.chance.uniform(0, 10), location.group.come_back)


def both(*all_of_it: Happens) -> Happens:
    def happens(location: Location) -> None:
        for each in all_of_it:
            each(location)

    return happens


SCENARIOS = (
    Scenario("planned changes", planned),
    Scenario("planned, 0 to 3 s apart", changes((0, 3))),
    Scenario("a new version, one process after the other", upgrade, lasts_s=75),
    Scenario("processes that come and go", come_and_go),
    Scenario("planned, clocks up to 3 s apart", planned, skew_s=3),
    Scenario("a new version, clocks up to 3 s apart", upgrade, lasts_s=75, skew_s=3),
    Scenario("processes that come and go, clocks up to 3 s apart", come_and_go, skew_s=3),
    Scenario("a start while one pauses, clocks up to 3 s apart", start_before_pause, joined_s=15, skew_s=3),
    Scenario(
        "planned, clocks that are set by up to 3 s", both(planned, clocks_are_set), cut_off=True, skew_s=3
    ),
    Scenario(
        "started with clocks that are an hour ahead, then set",
        an_hour_ahead,
        lasts_s=135,
        processes=(1, 2, 3),
    ),
    Scenario("all read a new file within 3 s", reloads(3), config=OLD),
    Scenario("the coordinator away", coordinator_away),
    Scenario("started without a coordinator for up to 15 s", starts_without_coordinator(2, 15), joined_s=25),
    Scenario(
        "planned, loops pause, 5 % of SyncGroups lost", both(planned, pauses), 2, lost=0.05, joined_s=25
    ),
    Scenario("planned, 10 % of SyncGroups lost", planned, 2, lost=0.1, joined_s=25),
    Scenario("a kill", kill, most=2, lasts_s=45),
    Scenario("a kill amid changes", both(kill, planned), most=2),
    Scenario("a kill, loops pause", both(kill, pauses), most=2, taken_over_s=14, joined_s=25),
    Scenario("a kill, the others pause", kill_before_pauses, 2, lasts_s=45, taken_over_s=14),
    Scenario("a kill of a leaver", kill_of_a_leaver, most=2, lasts_s=45, taken_over_s=12),
    Scenario("a kill, clocks up to 3 s apart", kill, most=2, skew_s=3, lasts_s=45),
    Scenario(
        "a kill, 30 % of SyncGroups lost",
        kill,
        2,
        lost=0.3,
        lasts_s=45,
        taken_over_s=14,
        joined_s=40,
        rounds=5,
    ),
    Scenario("a freeze of 3 to 30 s", freeze, most=2),
    Scenario("one cut off for 2 to 30 s", cut, most=2),
    Scenario("the same, `when_alone` is `stop`", cut, most=2, when_alone="stop"),
    Scenario("all restarted without a coordinator", restarts_without_coordinator, 2, lasts_s=90, joined_s=60),
    Scenario(
        "started without a coordinator for long",
        starts_without_coordinator(25, 50),
        None,
        skew_s=3,
        joined_s=60,
    ),
    Scenario("files that differ for up to 30 s", reloads(30), most=None, config=OLD),
    Scenario("two kills within 12 s", two_kills, None, complete=False, processes=(3, 4, 5), taken_over_s=20),
    Scenario(
        "the coordinator away and a kill", both(coordinator_away, kill), None, complete=False, taken_over_s=60
    ),
)
