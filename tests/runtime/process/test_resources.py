import asyncio
import ctypes
import resource
from collections.abc import Iterator
from types import SimpleNamespace

import psutil
import pytest

from monitor.runtime.process import resources
from tests.forwarding import until

_PIECE_BYTES = 4_096  # less than what the C library asks the system for by itself
_PIECES = 20_000


@pytest.fixture(autouse=True)
def before() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_the_limit_is_raised_as_far_as_the_system_allows() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (500, hard))
    assert resources.file_limit() == 500

    raised = resources.raise_file_limit()

    assert raised == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == resources.file_limit()
    assert raised == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))
    assert resources.raise_file_limit() == raised


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ((256, resource.RLIM_INFINITY), (65_536, resource.RLIM_INFINITY)),
        ((256, 1_000_000), (65_536, 1_000_000)),
        ((100_000, 1_000_000), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_no_more_is_asked_for_than_can_be_used(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], wanted: tuple[int, int] | None
) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: asked.append(new))

    assert resources.raise_file_limit() == (65_536 if limits[0] == resource.RLIM_INFINITY else limits[0])

    assert asked == ([] if wanted is None else [wanted])


def test_a_system_that_refuses_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)

    assert resources.raise_file_limit() == 256


async def test_free_memory_between_used_parts_goes_back() -> None:
    process = psutil.Process()
    pieces = [bytes(_PIECE_BYTES) for _ in range(_PIECES)]
    kept = pieces[::500]
    del pieces
    before = process.memory_info().rss

    giving = asyncio.create_task(resources.give_back_free_memory(0.01))

    await until(
        lambda: before - process.memory_info().rss > _PIECE_BYTES * _PIECES // 2, "half of it is free again"
    )
    assert len(kept) == _PIECES // 500
    giving.cancel()


async def test_with_another_c_library_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())

    await resources.give_back_free_memory()
