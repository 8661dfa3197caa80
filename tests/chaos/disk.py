"""Small disks that can be full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
            taken = space.f_bavail * space.f_frsize - left_bytes
            if taken > 0:
                os.posix_fallocate(file.fileno(), 0, taken)
        try:
            yield
        finally:
            ballast.unlink()

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self.path], check=True)
