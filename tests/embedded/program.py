"""Both embedded servers in a process that tests may kill: `python -m tests.embedded.program DIR UID`.

Prints in one line of JSON where they are, and holds them until its input ends.
"""

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg

from monitor.embedded.broker import broker
from monitor.embedded.postgres import postgres
from monitor.runtime.process.data_dir import locked

THREAD = ThreadPoolExecutor(1)  # made before the rights to read Python's modules are given up


async def hold(data_dir: Path) -> None:
    with locked(data_dir):
        async with broker(data_dir) as running, postgres(data_dir) as uri:
            connection = await asyncpg.connect(uri)
            server = await connection.fetchval("SELECT pg_read_file('postmaster.pid')")
            await connection.close()
            pids = [running.child.process.pid, int(server.split()[0])]
            facts = {"pids": pids, "uri": uri, "bootstrap": running.bootstrap, "uid": os.geteuid()}
            sys.stdout.write(json.dumps(facts) + "\n")
            sys.stdout.flush()
            await asyncio.get_running_loop().run_in_executor(THREAD, sys.stdin.read)


if __name__ == "__main__":
    if int(sys.argv[2]) != os.geteuid():
        os.setgroups([])
        os.setgid(int(sys.argv[2]))
        os.setuid(int(sys.argv[2]))
    asyncio.run(hold(Path(sys.argv[1])))
