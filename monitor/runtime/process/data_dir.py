"""The folder that only one running program, and only its user, may use."""

import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_log = logging.getLogger(__name__)


class DataDirError(Exception):
    """The folder cannot be used; the text says why in one line."""


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Make the folder, for its owner only, and lock it against other processes until the end.

    What is there already is closed to others, too: it may hold results with the bodies of pages. Until the
    end, all files that the process makes are for its user only.
    The lock ends with the process, however that ends. It is not inherited.

    Raises:
        DataDirError: another process has locked it, or it cannot be made.

    """
    lock = _open(data_dir)
    umask = os.umask(_OTHERS)
    try:
        _name_holder(lock)
        _close_to_others(data_dir)
        yield
    finally:
        os.umask(umask)
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


def _name_holder(lock: int) -> None:
    """Write the process id into the lock; a full disk does not take it, and the lock holds without it."""
    os.ftruncate(lock, 0)
    with suppress(OSError):
        os.write(lock, str(os.getpid()).encode())


def _close_to_others(folder: Path) -> None:
    """Take the rights of others from the folder and the files in it; a folder like /tmp stays as it is."""
    try:
        if folder.stat().st_mode & stat.S_ISVTX:
            _log.warning("data_dir %s is for all users: a folder of its own is safer", folder)
            return
        with os.scandir(folder) as entries:
            files = [Path(entry) for entry in entries if entry.is_file(follow_symlinks=False)]
        for path in (folder, *files):
            with suppress(FileNotFoundError):  # a server of an earlier run may remove its files
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
    except OSError as error:
        _log.warning("data_dir %s cannot be closed to other users: %s", folder, error.strerror)
