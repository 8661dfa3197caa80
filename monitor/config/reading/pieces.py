"""The configuration file with the files that it includes: one document, in which each place has its file."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Any

from monitor.config.files import UnreadableError
from monitor.config.reading.document import Expansion, InvalidJsonError, JsonPlace, PlacedMistake, parse
from monitor.config.reading.mistakes import line
from monitor.config.rules import kind

MAX_FILES = 10_000

_JOINED = ("monitors", "url_to_monitor")  # lists, of which each file has some
_OWN = ("$schema", "include")  # of a file, not of the whole


def included(path: Path, patterns: Iterable[str]) -> list[Path]:
    """Return the files that patterns of the file mean, by name; `*` leaves hidden files out, as in a shell.

    A pattern without `*`, `?` and `[` means its file, whether that is there or not.
    """
    folder = path.parent
    names = {
        name
        for pattern in patterns
        for name in glob(pattern, root_dir=folder) or _literally(pattern)  # noqa: PTH207 - shows hidden files
    }
    return sorted(folder / name for name in names if not _is_same(folder / name, path))


def _literally(pattern: str) -> list[str]:
    return [] if any(each in pattern for each in "*?[") else [pattern]


def _is_same(one: Path, other: Path) -> bool:
    return os.path.abspath(one) == os.path.abspath(other)  # noqa: PTH100 - Path.absolute keeps `..`


@dataclass
class Pieces:
    """What the file and those that it includes say, expanded; `read` fills it.

    `mistakes` have places in the whole; `origin` names the file of each. `broken` has a line for each file
    that cannot be a part of the whole.
    """

    path: Path
    environ: Mapping[str, str]
    document: dict[str, Any] = field(default_factory=dict)
    patterns: tuple[str, ...] = ()
    mistakes: list[PlacedMistake] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    _origins: dict[JsonPlace, tuple[Path, JsonPlace]] = field(default_factory=dict)

    def read(self) -> None:
        """Read all files."""
        self.document, mistakes = self._read(self.path)
        self.mistakes += mistakes.items()
        wanted = self.document.get("include", ())
        listed = wanted if isinstance(wanted, list) else [wanted]
        self.patterns = tuple(each for each in listed if isinstance(each, str) and "\0" not in each)
        files = included(self.path, self.patterns)
        if len(files) > MAX_FILES:
            self.broken.append(line(self.path, ("include",), f"too many files; must be at most {MAX_FILES}"))
            return
        for file in files:
            self._include(file)

    def origin(self, place: JsonPlace) -> tuple[Path, JsonPlace]:
        """Return the file of a place in the whole, and the place in that file."""
        for length in range(len(place), 0, -1):
            if found := self._origins.get(place[:length]):
                return found[0], (*found[1], *place[length:])
        return self.path, place

    def _read(self, file: Path) -> tuple[dict[str, Any], dict[JsonPlace, str]]:
        expansion = Expansion(self.environ)
        try:
            document = expansion.of(parse(file))
        except (UnreadableError, InvalidJsonError) as error:
            self.broken.append(line(file, (), str(error)))
        except RecursionError:
            self.broken.append(line(file, (), "nested too deeply; must have fewer levels"))
        else:
            if isinstance(document, dict):
                return document, expansion.mistakes
            self.broken.append(line(file, (), f"is {kind(document)}; must be an object"))
        return {}, {}

    def _include(self, file: Path) -> None:
        piece, mistakes = self._read(file)
        if "include" in piece:
            self.broken.append(line(file, ("include",), f"not for included files; must be in {self.path}"))
        offsets = {key: self._join(key, piece[key], file) for key in _JOINED if key in piece}
        rest = {key: value for key, value in piece.items() if key not in {*_JOINED, *_OWN}}
        self._merge(self.document, rest, file, ())
        for (key, *more), text in mistakes.items():
            if key not in offsets:
                self.mistakes.append(((key, *more), text))
            elif more and isinstance(more[0], int):
                self.mistakes.append(((key, offsets[key] + more[0], *more[1:]), text))
            else:
                self.broken.append(line(file, (key, *more), text))

    def _join(self, key: str, value: Any, file: Path) -> int:
        """Add a list of the file to that of the whole; return how many were there before."""
        before = self._list(key, self.document.get(key, []), self.path)
        added = self._list(key, value, file)
        self.document[key] = before + added
        for at in range(len(added)):
            self._origins[key, len(before) + at] = file, (key, at) if isinstance(value, list) else (key,)
        return len(before)

    def _list(self, key: str, value: Any, file: Path) -> list[Any]:
        if isinstance(value, list):
            return value
        if key == "url_to_monitor":
            return [value]
        self.broken.append(line(file, (key,), f"is {kind(value)}; must be a list"))
        return []

    def _merge(self, whole: dict[str, Any], piece: dict[str, Any], file: Path, place: JsonPlace) -> None:
        """Add what the whole does not have; objects are merged, other keys may be in one file only."""
        for key, value in piece.items():
            here = (*place, key)
            if key not in whole:
                whole[key] = value
                self._origins[here] = file, here
            elif isinstance(value, dict) and isinstance(whole[key], dict):
                self._merge(whole[key], value, file, here)
            else:
                text = f"given in {self.origin(here)[0]} as well; must be in one file"
                self.broken.append(line(file, here, text))
