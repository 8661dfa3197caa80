import asyncio
import ctypes
from types import SimpleNamespace

import psutil
import pytest

from monitor.runtime.memory import give_back_free_memory
from tests.forwarding import until

_PIECE_BYTES = 4_096  # less than what the C library asks the system for by itself
_PIECES = 20_000


async def test_free_memory_between_used_parts_goes_back() -> None:
    process = psutil.Process()
    pieces = [bytes(_PIECE_BYTES) for _ in range(_PIECES)]
    kept = pieces[::500]
    del pieces
    before = process.memory_info().rss

    giving = asyncio.create_task(give_back_free_memory(0.01))

    await until(
        lambda: before - process.memory_info().rss > _PIECE_BYTES * _PIECES // 2, "half of it is free again"
    )
    assert len(kept) == _PIECES // 500
    giving.cancel()


async def test_with_another_c_library_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())

    await give_back_free_memory()
