"""`main.py` on a disk that does not answer: it reads its configuration for ever."""

import sys
import threading

import main  # noqa: F401 - it handles a stop while the program loads
from monitor import cli


def wait(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and str(arguments[0]).endswith("config.json"):
        sys.stderr.write("reads\n")
        threading.Event().wait()


if __name__ == "__main__":
    sys.addaudithook(wait)
    sys.exit(cli.main(sys.argv[1:]))
