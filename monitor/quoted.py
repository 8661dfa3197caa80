"""What others wrote, as it may stand in one line for a person."""


def quoted(text: str, limit: int = 200) -> str:
    """Put it on one line, without control characters, cut at `limit` characters."""
    line = " ".join(text[: 4 * limit].split())
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)[:limit]
