"""The SQL of the maintenance windows that people make."""

import math
from typing import Any

import msgspec

from monitor.uptime.maintenance import MadeWindow

# Rows are only added, and ended once: any change shows.
_EDITION = "SELECT count(*), count(ended_at) FROM health_maintenance"

_MADE = """
SELECT id, monitor, group_name, starts_at, coalesce(ended_at, ends_at), at, who, why
FROM health_maintenance
WHERE coalesce(ended_at, ends_at) > $1 AND starts_at < $2
  AND starts_at < coalesce(ended_at, ends_at)
ORDER BY starts_at, id
"""

_MAKE = """
INSERT INTO health_maintenance (monitor, group_name, starts_at, ends_at, at, who, why)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id
"""

_END = """
UPDATE health_maintenance SET ended_at = greatest(starts_at, $2)
WHERE id = $1 AND ended_at IS NULL AND ends_at > $2
RETURNING id, monitor, group_name, starts_at, coalesce(ended_at, ends_at), at, who, why
"""


async def edition(connection: Any) -> object:
    """Return a value that stays equal as long as no window is made or ended."""
    return tuple(await connection.fetchrow(_EDITION))


async def made(connection: Any, since: float, until: float = math.inf) -> list[MadeWindow]:
    """Return the windows that are open at some time of this range, in the order of their starts."""
    return [MadeWindow(*row) for row in await connection.fetch(_MADE, since, until)]


async def make(connection: Any, window: MadeWindow) -> MadeWindow:
    """Store a window; return it with its number."""
    return msgspec.structs.replace(
        window, id=await connection.fetchval(_MAKE, *msgspec.structs.astuple(window)[1:])
    )


async def end(connection: Any, number: int, now: float) -> MadeWindow | None:
    """End a window that is open, or cancel one to come; return `None` where the number is neither."""
    row = await connection.fetchrow(_END, number, now)
    return MadeWindow(*row) if row else None
