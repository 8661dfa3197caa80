"""What other users and programs of the machine may see of the program."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.cases import SECRET, Case
from tests.program import Program

_VARIABLE = "HOSTILE_SECRET"


def prepare(program: Program) -> None:
    """Leave a folder that all may read to the program, and a secret in its environment."""
    program.environ[_VARIABLE] = SECRET
    data_dir = program.folder / "d"
    data_dir.mkdir(mode=0o755)
    for name in ("lock", "old"):
        (data_dir / name).write_text("")
        (data_dir / name).chmod(0o644)
    data_dir.chmod(0o755)


def environment(program: Program) -> str:
    """Look for the secret in the environment of the embedded servers, and in all command lines."""
    servers = program.process.children(recursive=True)
    names = {each.name() for each in servers}
    if not any("postgres" in name for name in names) or not any("tansu" in name for name in names):
        return f"not both servers: {names}"
    if program.process.environ().get(_VARIABLE) != SECRET:
        return "the program has no secret"
    told = {each.name() for each in servers if _VARIABLE in each.environ()}
    shown = {each.name() for each in [program.process, *servers] if SECRET in " ".join(each.cmdline())}
    return f"the secret is in the environment of {told}, and in the command line of {shown}" * bool(
        told | shown
    )


def modes(program: Program) -> str:
    """Look at who may read what is in the folder of the data."""
    data_dir = program.folder / "d"
    most = 0o710 if os.geteuid() == 0 else 0o700
    wrong = [f"data_dir {_mode(data_dir):o}"] if _mode(data_dir) & ~most else []
    wrong += [f"{path.name} {_mode(path):o}" for path in data_dir.iterdir() if _is_open(path)]
    return ", ".join(wrong)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _is_open(path: Path) -> bool:
    """Return whether it is a file to which others have rights; a folder in the closed one may be open."""
    return path.is_file() and bool(_mode(path) & 0o077)


def cases() -> Iterator[Case]:
    yield Case("machine", "a secret in the environment", act=environment)
    yield Case("machine", "a data_dir that was open to all", act=modes)
