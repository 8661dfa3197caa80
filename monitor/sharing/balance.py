"""Which member owns which shard: few moves, and nobody has much more than its share. Pure."""

import math
from collections import Counter
from collections.abc import Sequence

UNEVEN = 1.15
"""A member may have this many times its fair share before shards are taken from it."""


def balanced(owners: Sequence[str | None], members: Sequence[str]) -> list[str]:
    """Return the new owner of each shard: as far as possible the old one, if it is a member."""
    fair = len(owners) / len(members)
    most = max(math.ceil(fair), math.floor(fair * UNEVEN))
    shards = Counter(dict.fromkeys(sorted(members), 0))
    shards.update(owner for owner in owners if owner is not None and owner in shards)
    new = [_adopted(owner, shards) for owner in owners]
    for shard, owner in enumerate(new):
        if shards[owner] > most:
            new[shard] = _least_loaded(shards)
            shards[owner] -= 1
            shards[new[shard]] += 1
    return new


def _adopted(owner: str | None, shards: Counter[str]) -> str:
    if owner is not None and owner in shards:
        return owner
    least = _least_loaded(shards)
    shards[least] += 1
    return least


def _least_loaded(shards: Counter[str]) -> str:
    return min(shards, key=shards.__getitem__)
