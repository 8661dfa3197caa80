"""PgBouncer in front of a PostgreSQL server, and the one thing that all poolers do."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from tests.ports import free_ports
from tests.postgres import PostgresServer
from tests.program import until

PATH = f"{os.environ['PATH']}:/usr/sbin"  # where Debian has PgBouncer

LIMITS = """
SELECT array[current_setting('lock_timeout'), current_setting('statement_timeout'),
    current_setting('idle_in_transaction_session_timeout')]
"""

_SETTINGS = """
[databases]
* = host={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {mode}
{more}
"""


@contextmanager
def pgbouncer(server: PostgresServer, mode: str, more: str = "") -> Iterator[str]:
    """Run PgBouncer as it comes, with `more` settings; yield the URI before the name of the database."""
    with TemporaryDirectory(prefix="whm-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (port,) = free_ports(1)
        (folder / "users").write_text('"postgres" ""\n')
        settings = _SETTINGS.format(
            server=server.directory, port=port, users=folder / "users", mode=mode, more=more
        )
        (folder / "pgbouncer.ini").write_text(settings)
        program = shutil.which("pgbouncer", path=PATH)
        assert program
        with subprocess.Popen(
            [program, "-q", folder / "pgbouncer.ini"], user=server.user, stdin=subprocess.DEVNULL
        ) as process:
            try:
                until(partial(_listens, port), "listening")
                yield f"postgresql://postgres@127.0.0.1:{port}/"
            finally:
                process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


_KEY = b"K" + (12).to_bytes(4)


@asynccontextmanager
async def relay(uri: str) -> AsyncIterator[str]:
    """Yield the URI of a database behind something that gives clients other process ids, as poolers do."""
    server = f"{urlsplit(uri).query.removeprefix('host=')}/.s.PGSQL.5432"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_unix_connection(server)
        await asyncio.gather(_copy(reader, questions), _copy(answers, writer))

    with TemporaryDirectory(prefix="whm-") as folder:
        async with await asyncio.start_unix_server(serve, f"{folder}/.s.PGSQL.5432"):
            yield uri.partition("?")[0] + f"?host={folder}"


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while part := await reader.read(65_536):
            before, key, after = part.partition(_KEY)
            writer.write(before + key + (bytes(4) + after[4:] if key else b""))
            await writer.drain()
    writer.close()
