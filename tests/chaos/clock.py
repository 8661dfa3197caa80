"""The clock of a process, to be set while it runs; durations go on as they are."""

from pathlib import Path

# Debian's package faketime.
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


class Clock:
    """Right until it is set; `environ` makes a process follow it, within a second."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "clock"
        self.set(0)

    @property
    def environ(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, offset_s: float) -> None:
        """Set it wrong by this much."""
        new = self._path.with_suffix(".new")
        new.write_text(f"{offset_s:+}\n")
        new.replace(self._path)
