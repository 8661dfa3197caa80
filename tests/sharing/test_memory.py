from monitor.sharing.memory import Memory


def test_a_slot_that_was_run_is_remembered_for_its_monitor() -> None:
    memory = Memory()
    memory.add("a", 100.0)

    assert [Memory().is_empty, memory.is_empty] == [True, False]
    assert memory.has("a", 100.0)
    assert memory.has("a", 100.002)
    assert not memory.has("a", 101.0)
    assert not memory.has("b", 100.0)


def test_only_a_minute_is_remembered() -> None:
    memory = Memory()
    for slot in range(1_000):
        memory.add("a", float(slot))

    assert not memory.has("a", 939.0)
    assert memory.has("a", 940.0)


def test_the_newest_slot_is_known() -> None:
    memory = Memory()
    newest = []
    for slot in (5_000.0, 5_020.0, 5_010.0, 1_000.0, 1_010.0):
        memory.add("a", slot)
        newest.append(memory.newest)

    assert newest == [5_000.0, 5_020.0, 5_020.0, 1_000.0, 1_010.0]


def test_a_clock_that_is_set_back_by_an_hour_does_not_stop_the_checks() -> None:
    memory = Memory()
    memory.add("a", 3_600.0)
    memory.add("a", 0.0)

    assert memory.has("a", 0.0)
    assert not memory.has("a", 10.0)
    assert not memory.has("a", 3_600.0)
