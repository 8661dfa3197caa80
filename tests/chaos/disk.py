"""Small disks that can be full."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ZEROS = bytes(1 << 20)


class Disk:
    """A tmpfs; only root can have one."""

    def __init__(self, path: Path, megabytes: int, owner: str = "root") -> None:
        self.path = path
        path.mkdir(exist_ok=True)
        options = f"size={megabytes}m,mode=0700,uid={owner}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "whm-chaos", path], check=True)

    @contextmanager
    def full(self, left_bytes: int = 0) -> Iterator[None]:
        """Fill it, except for this much."""
        ballast = self.path / "ballast"
        with ballast.open("wb") as file:
            space = os.statvfs(self.path)
            _write(file.fileno(), space.f_bavail * space.f_frsize - left_bytes)
        try:
            yield
        finally:
            ballast.unlink()

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self.path], check=True)


def _write(file: int, size: int) -> None:
    """Write so much, or less: the program writes at the same time, and may have filled the disk itself."""
    try:
        while size > 0:
            size -= os.write(file, _ZEROS[:size])
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
