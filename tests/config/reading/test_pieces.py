"""A configuration in several files."""

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.config.model import Config
from monitor.config.reading import pieces
from monitor.config.reading.load import ConfigError, load


class Folder:
    """A folder of configuration files; `config.json` includes `monitors.d/*.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "monitors.d").mkdir()
        self.write("config.json", include=["monitors.d/*.json"])

    def write(self, name: str, **document: Any) -> None:
        (self.folder / name).write_text(json.dumps(document))

    def load(self, **environ: str) -> Config:
        return load(self.folder / "config.json", environ)

    def mistakes(self) -> list[str]:
        with pytest.raises(ConfigError) as refused:
            self.load()
        return [each.removeprefix(f"{self.folder}/") for each in refused.value.mistakes]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def site(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "url": f"https://{name}.example/", **more}


def names(config: Config) -> list[str]:
    return [monitor.name for monitor in config.monitors]


def test_monitors_of_all_files_are_checked_in_the_order_of_the_files(folder: Folder) -> None:
    folder.write("config.json", include="monitors.d/*.json", monitors=[site("own")])
    folder.write("monitors.d/b.json", monitors=[site("b")])
    folder.write("monitors.d/a.json", monitors=[site("a1"), site("a2")], **{"$schema": "x"})
    folder.write("monitors.d/.hidden.json", monitors=[site("hidden")])

    assert names(folder.load()) == ["own", "a1", "a2", "b"]


def test_urls_alone_are_joined_too(folder: Folder) -> None:
    folder.write("config.json", include="monitors.d/*.json", url_to_monitor="https://own.example/")
    folder.write("monitors.d/a.json", url_to_monitor="https://a.example/")
    folder.write("monitors.d/b.json", url_to_monitor=["https://b.example/"])

    assert [name[8:-9] for name in names(folder.load())] == ["own", "a", "b"]


def test_a_file_may_have_any_other_key_and_objects_are_merged(folder: Folder) -> None:
    folder.write(
        "config.json",
        include=["monitors.d/*.json", "monitors.d/a.json", "alerts.json"],
        monitors=[site("own", group="web")],
        groups={"web": {"depends_on": "a"}},
    )
    folder.write("monitors.d/a.json", monitors=[site("a", group="db")], groups={"db": {"notify": {}}})
    folder.write("alerts.json", alerts={"channels": {"mail": "json://alerts.example/"}}, log_level="debug")

    config = folder.load()

    assert names(config) == ["own", "a"]
    assert (set(config.groups), set(config.alerts.channels)) == ({"web", "db"}, {"mail"})
    assert config.log_level == "debug"
    assert config.include == ("monitors.d/*.json", "monitors.d/a.json", "alerts.json")


def test_paths_in_included_files_are_relative_to_the_configuration_file(folder: Folder) -> None:
    (folder.folder / "token").write_text("s3cret")
    folder.write("monitors.d/a.json", monitors=[site("a", bearer_token={"file": "token"})], data_dir="here")

    config = folder.load()

    assert config.data_dir == folder.folder / "here"
    assert config.monitors[0].bearer_token


def test_variables_are_replaced_in_included_files_and_in_their_names(folder: Folder) -> None:
    folder.write("config.json", include="${WHERE}/*.json")
    folder.write("monitors.d/a.json", monitors=[site("a", group="${GROUP}")])

    assert folder.load(WHERE="monitors.d", GROUP="web").monitors[0].group == "web"


def test_a_pattern_may_match_nothing_and_the_file_itself(folder: Folder) -> None:
    folder.write("config.json", include=["*.json", "nothing/*"], monitors=[site("own")])

    assert names(folder.load()) == ["own"]


def test_mistakes_are_named_with_their_file_and_their_place_in_it(folder: Folder) -> None:
    folder.write(
        "config.json", include="monitors.d/*.json", monitors=[site("own", timeout_s=0)], groups={"web": {}}
    )
    folder.write(
        "monitors.d/a.json",
        monitors=[site("a"), site("own"), site("x", grop="web"), site("y", body="${UNSET}")],
        groups={"db": {"notify": {"degraded": 1}}},
    )
    folder.write(
        "monitors.d/b.json", url_to_monitor="ftp://b", web_prot="${UNSET}", groups={"web": {"notfy": {}}}
    )

    assert sorted(folder.mistakes()) == [
        "config.json: monitors[0].timeout_s: too small; must be at least 0.001",
        "monitors.d/a.json: groups.db.notify.degraded: is a number; must be true or false",
        (
            "monitors.d/a.json: monitors[1].name: another monitor has this name;"
            " must be unique, give it a name of its own"
        ),
        'monitors.d/a.json: monitors[2].grop: unknown key; did you mean "group"?',
        (
            "monitors.d/a.json: monitors[3].body: environment variable UNSET is not set;"
            " must be set, or $$ for a dollar"
        ),
        'monitors.d/b.json: groups.web.notfy: unknown key; did you mean "notify"?',
        "monitors.d/b.json: url_to_monitor: not such a URL; must be http://HOST or https://HOST",
        (
            "monitors.d/b.json: web_prot: environment variable UNSET is not set;"
            " must be set, or $$ for a dollar"
        ),
    ]


def test_files_that_cannot_be_parts_are_all_named(folder: Folder) -> None:
    folder.write(
        "config.json", include=["monitors.d/*.json", "no.json"], log_level="info", monitors={}, groups=1
    )
    folder.write("monitors.d/a.json", log_level="debug", include="b.json", monitors=[])
    folder.write("monitors.d/b.json", monitors="x", url_to_monitor=["${UNSET}"])
    (folder.folder / "monitors.d/c.json").write_text('{"monitors": [], "monitors": [], "web_port": 1}')
    (folder.folder / "monitors.d/d.json").write_text("[]")
    (folder.folder / "monitors.d/e.json").write_text("{")
    (folder.folder / "monitors.d/f.json").write_text("[" * 100_000)
    folder.write("monitors.d/g.json", web_port=2)
    folder.write("monitors.d/h.json", groups={"web": {}})

    assert folder.mistakes() == [
        f"monitors.d/a.json: include: not for included files; must be in {folder.folder}/config.json",
        "config.json: monitors: is an object; must be a list",
        f"monitors.d/a.json: log_level: given in {folder.folder}/config.json as well; must be in one file",
        "monitors.d/b.json: monitors: is a string; must be a list",
        "monitors.d/c.json: monitors: given more than once; must be there once",
        "monitors.d/d.json: is a list; must be an object",
        (
            "monitors.d/e.json: not JSON (line 1 column 2: Expecting property name enclosed in double"
            " quotes); must be a JSON object"
        ),
        "monitors.d/f.json: nested too deeply; must have fewer levels",
        (
            f"monitors.d/g.json: web_port: given in {folder.folder}/monitors.d/c.json as well;"
            " must be in one file"
        ),
        f"monitors.d/h.json: groups: given in {folder.folder}/config.json as well; must be in one file",
        "no.json: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("include", "mistake"),
    [
        (1, "config.json: include: is a number; must be a string"),
        ([1], "config.json: include[0]: is a number; must be a string"),
        ({}, "config.json: include: is an object; must be a string"),
        ("a\0", "config.json: include: NUL inside; must be a path"),
        ("a\0*", "config.json: include: NUL inside; must be a path"),
    ],
)
def test_what_is_no_pattern_is_a_mistake(folder: Folder, include: object, mistake: str) -> None:
    folder.write("config.json", include=include, monitors=[site("own")])

    assert folder.mistakes() == [mistake]


def test_too_many_files_are_a_mistake(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_FILES", 2)
    for name in "ab":
        folder.write(f"monitors.d/{name}.json", monitors=[site(name)])
    assert len(folder.load().monitors) == 2

    folder.write("monitors.d/c.json", monitors=[site("c")])

    assert folder.mistakes() == ["config.json: include: too many files; must be at most 2"]


def test_of_many_broken_files_the_first_are_named(folder: Folder) -> None:
    for number in range(102):
        (folder.folder / f"monitors.d/{number:03}.json").write_text("1")

    found = folder.mistakes()

    assert len(found) == 101
    assert found[-1] == "config.json: and 2 more mistakes"
