import resource
from collections.abc import Iterator

import pytest

from monitor.runtime import file_handles


@pytest.fixture(autouse=True)
def before() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_the_limit_is_raised_as_far_as_the_system_allows() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (500, hard))
    assert file_handles.limit() == 500

    raised = file_handles.raise_limit()

    assert raised == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == file_handles.limit()
    assert raised == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))
    assert file_handles.raise_limit() == raised


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ((256, resource.RLIM_INFINITY), (65_536, resource.RLIM_INFINITY)),
        ((256, 1_000_000), (65_536, 1_000_000)),
        ((100_000, 1_000_000), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_no_more_is_asked_for_than_can_be_used(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], wanted: tuple[int, int] | None
) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: asked.append(new))

    assert file_handles.raise_limit() == (65_536 if limits[0] == resource.RLIM_INFINITY else limits[0])

    assert asked == ([] if wanted is None else [wanted])


def test_a_system_that_refuses_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)

    assert file_handles.raise_limit() == 256
