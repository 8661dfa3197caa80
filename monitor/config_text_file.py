"""Text files that a person wrote."""

from pathlib import Path


class UnreadableError(ValueError):
    """The file cannot be read as text; the message says why, without naming the file."""


def read_text(path: Path, max_bytes: int) -> str:
    """Return the text of a file of UTF-8, with or without a byte order mark.

    Raises:
        UnreadableError: it is missing, a directory, forbidden, too large, or not UTF-8.

    """
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise UnreadableError(reason or "not a path") from error
    if len(content) > max_bytes:
        raise UnreadableError(f"too large; at most {max_bytes} bytes are read")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"not UTF-8 (byte {error.start}); must be UTF-8") from error
