"""A cache forgets what was used longest ago, and never holds more than it may."""

import tracemalloc

from monitor.runtime.byte_cache import ByteCache


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    cache: ByteCache[str] = ByteCache(10_000)
    cache.put(b"a", "first", 4_000)
    cache.put(b"b", "second", 4_000)
    assert cache.get(b"a") == "first"

    cache.put(b"c", "third", 4_000)

    assert [cache.get(key) for key in (b"a", b"b", b"c")] == ["first", None, "third"]


def test_what_is_too_large_is_not_kept() -> None:
    cache: ByteCache[str] = ByteCache(10_000)

    cache.put(b"a", "large", 10_000)
    cache.put(b"b", "small", 9_000)

    assert (cache.get(b"a"), cache.get(b"b")) == (None, "small")


def test_it_holds_no_more_than_it_may() -> None:
    cache: ByteCache[bytes] = ByteCache(1_000_000)
    tracemalloc.start()

    for number in range(20_000):
        cache.put(number.to_bytes(32, "big"), bytes(number % 700), number % 700)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 1_200_000
