"""The user without rights that PostgreSQL runs as when this program runs as root."""

import logging
import os
import pwd
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

NAME = "website-health"
_USERADD_S = 30.0

_log = logging.getLogger(__name__)


class EmbeddedError(Exception):
    """An embedded server does not start; the text says why in one line."""


class ServerUser(NamedTuple):
    """A user and its group, by number."""

    uid: int
    gid: int


def unprivileged(name: str = NAME) -> ServerUser:
    """Return our own user, or, for root, the system user of that name, which is made when it is missing.

    Raises:
        EmbeddedError: it cannot be made.

    """
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid())
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        _add(name)
        entry = pwd.getpwnam(name)
    return ServerUser(entry.pw_uid, entry.pw_gid)


def _add(name: str) -> None:
    options = ("--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin")
    try:
        subprocess.run(  # noqa: S603 - no shell, and nothing from outside
            ["useradd", *options, name],  # noqa: S607 - where it is differs among systems
            check=True,
            capture_output=True,
            text=True,
            timeout=_USERADD_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        raise EmbeddedError(
            f"PostgreSQL does not run as root and needs a system user {name}, which cannot be made: "
            f"{' '.join(reason.split())}; make it, or run this program as an ordinary user"
        ) from error
    _log.info("Made the system user %s, for PostgreSQL to run under", name)


def lend(folder: Path, user: ServerUser) -> None:
    """Allow this user, and nobody else, to pass this folder of ours, by means of the folder's group.

    Raises:
        EmbeddedError: the folder's permissions cannot be changed.

    """
    found = folder.stat()
    if user.uid != os.geteuid() and not found.st_mode & stat.S_IXOTH:
        try:
            os.chown(folder, -1, user.gid)
            folder.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXGRP)
        except OSError as error:
            raise EmbeddedError(f"user {user.uid} must be able to pass {folder}: {error.strerror}") from error


def let_through(folder: Path, user: ServerUser) -> None:
    """Allow this user to reach what is in the folder: others may then pass it and its parents, not list them.

    Raises:
        EmbeddedError: a folder's permissions cannot be changed.

    """
    if user.uid == os.geteuid():
        return
    for passed in (folder, *folder.parents):
        mode = stat.S_IMODE(passed.stat().st_mode)
        if not mode & stat.S_IXOTH:
            _log.info(
                "%s: others may pass it from now on, so that user %d gets to PostgreSQL", passed, user.uid
            )
            try:
                passed.chmod(mode | stat.S_IXOTH)
            except OSError as error:
                raise EmbeddedError(
                    f"user {user.uid} must be able to pass {passed}: {error.strerror}"
                ) from error
