"""Stop a server so that it accepts and never answers."""

import os
import signal


def freeze(pid: int) -> None:
    """Stop a child of ours with all of its threads; SIGCONT ends it.

    On a busy machine a thread can still answer for some milliseconds after the signal was sent.
    """
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)
