"""Configurations, and files that they name, that must not be taken while the program runs."""

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.hostile.cases import MB, Case, Damage
from tests.hostile.encrypted import FINE, authority, good


def is_file(path: Path) -> bool:
    """Return whether it is one, and no link to one."""
    return path.is_file() and not path.is_symlink()


def remove(path: Path) -> None:
    """Remove whatever is there."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


CA, CLIENT, TOKEN = "ca.pem", "client.pem", "token"  # files that the good configuration names


def named(folder: Path) -> dict[str, Any]:
    """Return the settings of a monitor that names a file of each kind; write those that are no files."""
    for name, content in _contents().items():
        if not is_file(folder / name):
            remove(folder / name)
            (folder / name).write_bytes(content)
    paths = {"ca_file": str(folder / CA), "client_cert": str(folder / CLIENT)}
    return {**paths, "bearer_token": {"file": str(folder / TOKEN)}}


@cache
def _contents() -> dict[str, bytes]:
    pem = authority().pem
    return {CA: pem, CLIENT: authority().key_pem + pem, TOKEN: b"in a file"}


def _replace(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def _changed(change: Callable[[dict[str, Any], Path], None]) -> Damage:
    """Return what writes the good configuration with this change."""

    def damage(path: Path) -> None:
        config = json.loads(path.read_text())
        change(config, path.parent)
        _replace(path, json.dumps(config).encode())

    return damage


def _secret_in(make: Callable[[Path], object]) -> Damage:
    """Return what names a file in the place of a secret, after it was made."""

    def change(config: dict[str, Any], folder: Path) -> None:
        place = folder / "secret"
        remove(place)
        make(place)
        config["monitors"][0]["bearer_token"] = {"file": str(place)}

    return _changed(change)


def _becomes(name: str, make: Callable[[Path], object]) -> Damage:
    """Return what puts something else in the place of a file that the running configuration names."""

    def damage(path: Path) -> None:
        remove(path.parent / name)
        make(path.parent / name)
        _replace(path, path.read_bytes())

    return damage


def _instead(make: Callable[[Path], object]) -> Damage:
    """Return what puts something else in the place of the configuration."""

    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def _half(path: Path) -> None:
    whole = path.read_bytes()
    _replace(path, whole[: len(whole) // 2])


def _number(key: str, written: str) -> Damage:
    def damage(path: Path) -> None:
        _replace(path, path.read_bytes().replace(b"{", f'{{"{key}": {written}, '.encode(), 1))

    return damage


def _monitor(**wrong: Any) -> Damage:
    return _changed(lambda config, _: config["monitors"][0].update(wrong))


def _unknown_keys(config: dict[str, Any], _: Path) -> None:
    config.update({f"unknown_{number}": number for number in range(20_000)})


def _many_monitors(config: dict[str, Any], _: Path) -> None:
    config["monitors"] = [{"name": "same", "url": "http://127.0.0.1:9/"}] * 20_000


_KINDS: dict[str, Callable[[Path], object]] = {
    "a named pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": os.mkdir,
    "nothing": lambda _: None,
}


def _rows() -> dict[str, Damage]:
    return {
        "a secret in a named pipe": _secret_in(os.mkfifo),
        "a secret in a device": _secret_in(lambda path: path.symlink_to("/dev/zero")),
        "a secret in a folder": _secret_in(os.mkdir),
        "a secret that is away": _secret_in(lambda _: None),
        "a secret that leads to itself": _secret_in(lambda path: path.symlink_to(path.name)),
        "a secret of 2 MB": _secret_in(lambda path: path.write_bytes(b"x" * 2 * MB)),
        "a secret that is no UTF-8": _secret_in(lambda path: path.write_bytes(b"\xff\xfe")),
        "a secret with line ends": _secret_in(lambda path: path.write_bytes(b"a\r\nX-Evil: 1")),
        "a ca_file in a named pipe": _changed(_pipe_of_authorities),
        **{
            f"{key} that becomes {kind}": _becomes(name, make)
            for key, name in (("a token", TOKEN), ("a ca_file", CA), ("a client_cert", CLIENT))
            for kind, make in _KINDS.items()
        },
        "a certificate of pg_uri in a named pipe": _changed(_pipe_of_database),
        "a certificate of Kafka in a named pipe": _changed(_pipe_of_kafka),
        "a ca_file of garbage": _changed(_garbage_of_authorities),
        "a named pipe": _instead(os.mkfifo),
        "a device": _instead(lambda path: path.symlink_to("/dev/zero")),
        "a folder": _instead(os.mkdir),
        "away": _instead(lambda _: None),
        "empty": lambda path: _replace(path, b""),
        "half-written": _half,
        "no UTF-8": lambda path: _replace(path, b'{"location": "\xff"}'),
        "NUL": lambda path: _replace(path, bytes(1_000)),
        "17 MB": lambda path: _replace(path, b" " * 17 * MB + path.read_bytes()),
        "nested 100,000 deep": lambda path: _replace(path, b"[" * 100_000),
        "a list": lambda path: _replace(path, b"[]"),
        "a key twice": _number("location", '"one", "location": "two"'),
        "1e30": _number("sleep_duration", "1e30"),
        "1e999": _number("sleep_duration", "1e999"),
        "NaN": _number("sleep_duration", "NaN"),
        "a number of 100,000 digits": _number("sleep_duration", "9" * 100_000),
        "a number that is negative": _monitor(interval_s=-1),
        "20,000 unknown keys": _changed(_unknown_keys),
        "20,000 monitors of one name": _changed(_many_monitors),
        "a regular expression that is none": _monitor(expect={"body_regex": "("}),
        "a regular expression that repeats too often": _monitor(expect={"body_regex": "(a{1000}){1000}"}),
        "a header with a line end": _monitor(headers={"X": "a\r\nY: b"}),
        "a URL of 10,000 characters": _monitor(url="http://127.0.0.1/" + "x" * 10_000),
        "a URL with a line end": _monitor(url="http://127.0.0.1/\r\nX: 1"),
        "a name of escapes": _monitor(name="\x1b[2J"),
        "half a surrogate": _monitor(name="\ud800"),
        "a variable that is not set": _monitor(bearer_token="${HOSTILE_AND_NOT_SET}"),  # noqa: S106 - a variable
    }


def _pipe_of_authorities(config: dict[str, Any], folder: Path) -> None:
    config["monitors"][0]["ca_file"] = _pipe(folder, "pipe.pem")


def _pipe(folder: Path, name: str) -> str:
    remove(folder / name)
    os.mkfifo(folder / name)
    return str(folder / name)


def _pipe_of_database(config: dict[str, Any], folder: Path) -> None:
    options = f"sslmode=verify-full&sslrootcert={_pipe(folder, 'pipe.pem')}"
    config["pg_uri"] = f"postgresql://me:word@127.0.0.1:9/health?{options}"


def _pipe_of_kafka(config: dict[str, Any], folder: Path) -> None:
    (folder / "kafka").mkdir(exist_ok=True)
    _pipe(folder / "kafka", "ca.pem")
    config.update(
        kafka_security_protocol="SSL", kafka_ssl_dir=str(folder / "kafka"), kafka_bootstrap="127.0.0.1:9"
    )


def _garbage_of_authorities(config: dict[str, Any], folder: Path) -> None:
    (folder / "garbage.pem").write_bytes(bytes(range(256)) * 99)
    config["monitors"][0]["ca_file"] = str(folder / "garbage.pem")


def cases() -> Iterator[Case]:
    for name, damage in _rows().items():
        yield Case("file", name, damage=damage)
    for kind, make in _KINDS.items():
        name = f"a ca_file that becomes {kind} between checks"
        yield Case("file", name, script=FINE, tls=good, damage=_becomes(CA, make))
