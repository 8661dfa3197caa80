"""Files whose paths others wrote: only regular ones are opened, and never more is read than a bound.

Opening a named pipe waits for a writer, and a device may never end: both would stop a thread for good.
"""

import errno
import os
import stat
from pathlib import Path

MAX_PEM_BYTES = 4_000_000

_KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a named pipe"}  # a socket cannot be opened


def read_file(path: str | Path, max_bytes: int) -> bytes:
    """Return the content of a regular file; links are followed.

    Raises:
        OSError: it is missing, forbidden, too large, or no regular file; `strerror` says which.
        ValueError: NUL or half a surrogate pair is in the path.

    """
    with open(path, "rb", opener=_open_regular) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"too large; at most {max_bytes} bytes are read", str(path))
    return content


def _open_regular(path: str, flags: int) -> int:
    file = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    mode = os.fstat(file).st_mode
    if not stat.S_ISREG(mode):
        os.close(file)
        kind = _KINDS.get(stat.S_IFMT(mode), "a device")
        raise OSError(errno.EINVAL, f"{kind}, not a regular file", path)
    return file


def check_pem(*paths: str | Path | None) -> None:
    """Check files that OpenSSL reads by their paths, before it does; `None` is no file.

    Raises:
        OSError: one is no readable, regular file, or too large for certificates and keys.

    """
    for path in paths:
        if path is not None:
            read_file(path, MAX_PEM_BYTES)
