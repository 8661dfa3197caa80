"""The folder that only one running program may use."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DataDirError(Exception):
    """The folder cannot be used; the text says why in one line."""


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Make the folder, for its owner only, and lock it against other processes until the end.

    The lock ends with the process, however that ends. It is not inherited.

    Raises:
        DataDirError: another process has locked it, or it cannot be made.

    """
    lock = _open(data_dir)
    try:
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        yield
    finally:
        os.close(lock)


def _open(data_dir: Path) -> int:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DataDirError(f"data_dir {data_dir} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(lock, 20).decode() or "unknown"
        os.close(lock)
        raise DataDirError(f"data_dir {data_dir} is in use by another process, {holder}") from error
    return lock
