from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from monitor.sharing.balance import balanced

NAMES = [f"p{number}" for number in range(70)]
OWNERS = st.lists(st.sampled_from([None, *NAMES[:9]]), min_size=64, max_size=64)
MEMBERS = st.lists(st.sampled_from(NAMES), min_size=1, unique=True)


@given(OWNERS, MEMBERS)
def test_nobody_has_much_more_than_its_share(owners: list[str | None], members: list[str]) -> None:
    shards = Counter(balanced(owners, members))

    assert set(shards) <= set(members)
    assert max(shards.values()) <= max(-(-64 // len(members)), 1.15 * 64 / len(members))


@given(OWNERS, MEMBERS)
def test_what_is_balanced_stays(owners: list[str | None], members: list[str]) -> None:
    once = balanced(owners, members)

    assert balanced(once, members[::-1]) == once


@given(OWNERS, MEMBERS)
def test_only_what_is_too_much_is_taken_from_a_member(owners: list[str | None], members: list[str]) -> None:
    had, has = Counter(owners), Counter(balanced(owners, members))
    kept = Counter(new for old, new in zip(owners, balanced(owners, members), strict=True) if old == new)

    for name in members:
        if kept[name] < had[name]:
            assert has[name] == kept[name]
            assert kept[name] >= 64 // len(members)


def test_orphans_go_to_those_that_have_least() -> None:
    owners = ["a"] * 30 + ["b"] * 20 + ["c"] * 14

    assert Counter(balanced(owners, ["a", "b"])) == {"a": 32, "b": 32}
    assert balanced(owners, ["a", "b"])[:50] == owners[:50]
