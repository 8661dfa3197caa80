"""The program as `pip` installs it."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from venv import EnvBuilder

import pytest

from monitor.version import VERSION
from tests.program import ROOT

SOURCES = ("MANIFEST.in", "Makefile", "README.md", "main.py", "pyproject.toml", "requirements.in")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what `make dist` makes of a copy of the tree."""
    tree = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "monitor", tree / "monitor", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        ["make", "dist", f"PYTHON={sys.executable}"],
        check=False,
        cwd=tree,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return tree / "dist"


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Outside of `tmp_path`: each run of pytest that begins shuts that to other users, as PostgreSQL's."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "data"


def files_of(folder: Path) -> set[str]:
    return {
        path.relative_to(folder.parent).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.timeout(600)
def test_the_distributions_have_every_file_of_the_program(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    (source,) = distributions.glob("*.tar.gz")

    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
    with tarfile.open(source) as archive:
        in_source = {name.partition("/")[2] for name in archive.getnames()}

    assert in_wheel == files_of(ROOT / "monitor")
    assert in_source >= in_wheel | set(SOURCES) - {"Makefile"}
    assert wheel.name.startswith(f"website_health_monitor-{VERSION}-")


@pytest.mark.timeout(600)
def test_the_installed_program_is_the_same(distributions: Path, tmp_path: Path, data_dir: Path) -> None:
    """In an environment of its own, which borrows the libraries of this one."""
    (wheel,) = distributions.glob("*.whl")
    EnvBuilder(symlinks=True).create(tmp_path / "venv")
    (libraries,) = (tmp_path / "venv/lib").glob("*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", str(tmp_path / "venv/bin/python"), "install", "-q"]
    subprocess.run([*pip, "--no-index", "--no-deps", "--no-compile", str(wheel)], check=True)
    (libraries / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    monitors = [{"name": "down", "url": "http://127.0.0.1:1/"}]
    written = {"monitors": monitors, "web_port": 0, "data_dir": str(data_dir)}
    (tmp_path / "config.json").write_text(json.dumps(written))

    def run(*arguments: str) -> tuple[int, str]:
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        command = [str(tmp_path / "venv/bin/website-health"), *arguments]
        done = subprocess.run(
            command, check=False, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True
        )
        return done.returncode, done.stdout

    assert run("--version") == (0, f"{VERSION}\n")
    assert run("--check-config") == (0, "config.json: valid, 1 monitor\n")
    assert "usage: website-health " in run("--help")[1]
    code, table = run("--once")
    assert code == 1
    assert "127.0.0.1 port 1 refused the connection" in table
