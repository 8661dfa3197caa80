"""The shards into which the monitors of a location are divided, and what is announced of each. Pure."""

import hashlib
from collections.abc import Iterable
from pathlib import PurePath

import msgspec
from pydantic import BaseModel, SecretStr

from monitor.config.model import Monitor
from monitor.config.public_url import MASK, public_text
from monitor.config.steps.step import Step

SHARDS = 64
_SALT = (
    b"shard"  # the offset of a slot is a hash of the same name: a shard's monitors are not to be due together
)
# These decide what a result means. The process that stores it knows them, whoever made the check.
_NOT_OF_THE_CHECK = frozenset(
    {"failures_to_open", "successes_to_resolve", "window", "quorum", "group", "labels", "runbook"}
)


def shard_of(name: str) -> int:
    """Return the shard of a monitor: the same for the same name, in every process."""
    return hashlib.blake2b(name.encode(), digest_size=2, salt=_SALT).digest()[0] % SHARDS


def configuration_hashes(monitors: Iterable[Monitor]) -> tuple[int, ...]:
    """Return for each shard a hash of how its monitors are checked, in any order of the monitors.

    Nothing secret goes in, so nothing secret can be guessed from what comes out: where a secret is, the hash
    knows that there is one. Two processes that have different passwords for a site agree in this. Defaults do
    not go in either, so that a version with more keys agrees with the one before.
    """
    shards: list[list[bytes]] = [[] for _ in range(SHARDS)]
    for monitor in monitors:
        shards[shard_of(monitor.name)].append(msgspec.json.encode(_public(monitor), order="sorted"))
    return tuple(_hash(sorted(each)) for each in shards)


def _hash(texts: Iterable[bytes]) -> int:
    return int.from_bytes(hashlib.blake2b(b"\n".join(texts), digest_size=4).digest())


def _public(value: object) -> object:
    match value:
        case Monitor() | Step():
            return {**_settings(value), "url": value.public_url}
        case BaseModel():
            return _settings(value)
        case dict():
            return {key: _public(each) for key, each in value.items()}
        case tuple():
            return [_public(each) for each in value]
        case str():
            return public_text(value)
        case _:
            return _plain(value)


def _plain(value: object) -> object:
    if isinstance(value, PurePath):
        return value.name  # the folder may differ from machine to machine
    return MASK if isinstance(value, SecretStr) else value


def _settings(model: BaseModel) -> dict[str, object]:
    written = {key: getattr(model, key) for key, field in type(model).model_fields.items()}
    return {
        key: _public(value)
        for key, value in written.items()
        if key not in _NOT_OF_THE_CHECK and value != type(model).model_fields[key].default
    }
