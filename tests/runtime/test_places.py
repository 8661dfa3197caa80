import asyncio

from monitor.runtime.places import Places


async def use(places: Places, name: str, entered: list[str], leave: asyncio.Event) -> None:
    async with places:
        entered.append(name)
        await leave.wait()


async def turns(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_no_more_than_there_are_places_enter_at_once() -> None:
    places, entered, leave = Places(2), list[str](), asyncio.Event()

    async with asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(use(places, name, entered, leave))
        await turns()
        assert entered == ["a", "b"]
        leave.set()

    assert entered == ["a", "b", "c"]


async def test_places_can_be_taken_again_as_often_as_they_are_left() -> None:
    places = Places(1)

    for _ in range(3):
        async with places:
            pass

    async with asyncio.timeout(60), places:
        pass


async def test_nobody_overtakes_those_who_wait() -> None:
    places, entered, leave, late = Places(1), list[str](), asyncio.Event(), asyncio.Event()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(use(places, "a", entered, leave))
        for name in "bc":
            tasks.create_task(use(places, name, entered, late))
        await turns()
        leave.set()
        await turns()
        tasks.create_task(use(places, "d", entered, late))
        await turns()
        assert entered == ["a", "b"]
        late.set()

    assert entered == ["a", "b", "c", "d"]


async def test_one_who_gives_up_waiting_is_passed_over() -> None:
    places, entered, leave = Places(1), list[str](), asyncio.Event()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(use(places, "a", entered, leave))
        given_up = tasks.create_task(use(places, "b", entered, leave))
        tasks.create_task(use(places, "c", entered, leave))
        await turns()
        given_up.cancel()
        await turns()
        leave.set()

    assert entered == ["a", "c"]


async def test_a_place_that_comes_together_with_a_cancel_goes_to_the_next() -> None:
    places, entered, leave = Places(1), list[str](), asyncio.Event()
    leave.set()

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        async with places:
            cancelled = tasks.create_task(use(places, "a", entered, leave))
            tasks.create_task(use(places, "b", entered, leave))
            await turns()
        cancelled.cancel()

    assert entered == ["b"]
    async with asyncio.timeout(60), places:
        pass
