"""Speed and memory of the import and export of many accounts.

python -m benchmarks.user_import [accounts]

Each command runs in a separate process, and the system reports its peak memory. The peak memory
with few and with many accounts is compared, because it must not grow with their number.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from tests.databases import PostgresqlTemplates, SqliteTemplates, postgresql_folder
from tests.processes import POSTERN, environment

ROOT = Path(__file__).parents[1]
CREATED_AT = datetime(2010, 5, 17, tzinfo=UTC)
FEW = 10_000
MANY = 1_000_000
# The formats of Django, WordPress and Werkzeug; they are never verified here.
HASHES = (
    "pbkdf2_sha256$600000$nacl4everybodyhere22ch$" + "A" * 43 + "=",
    "$P$B" + "a" * 30,
    "scrypt:32768:8:1$aSaltOfWerkzeug0$" + "0" * 128,
    "$2b$12$" + "a" * 53,
)


@dataclass(frozen=True, slots=True)
class Run:
    """Time and peak memory of a command."""

    seconds: float
    peak_mib: float


def write_file(path: Path, count: int) -> Path:
    """Writes accounts in order of creation, with unordered names as in practice."""
    with path.open("wb") as file:
        for number in range(count):
            file.write(orjson.dumps(_account(number), option=orjson.OPT_APPEND_NEWLINE))
    return path


def _account(number: int) -> dict[str, object]:
    name = f"{number * 7919 % 1_000_003:07d}-person"
    return {
        "username": name,
        "email": f"{name}@mail{number % 300}.example.com",
        "email_verified": number % 3 > 0,
        "full_name": f"BenchmarkUser the {number}th",
        "password_hash": HASHES[number % len(HASHES)],
        "created_at": (CREATED_AT + number * timedelta(seconds=400)).isoformat(),
        "disabled": number % 50 == 0,
    }


def run(url: str, folder: Path, *arguments: str) -> Run:
    """Runs a `postern` command and returns its time and peak memory."""
    settings = {
        "POSTERN_ENVIRONMENT": "development",
        "POSTERN_DATABASE_URL": url,
        "POSTERN_DATA_DIR": str(folder / "data"),
        "POSTERN_BCRYPT_COST": "4",
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        [*POSTERN, "user", *arguments],
        cwd=ROOT,
        env=environment(**settings),
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return Run(time.perf_counter() - started, usage.ru_maxrss / 1024)


def measure(url: str, folder: Path, file: Path) -> dict[str, Run]:
    """Imports, imports again, and exports."""
    return {
        "import, dry run": run(url, folder, "import", str(file), "--dry-run"),
        "import": run(url, folder, "import", str(file)),
        "import again": run(url, folder, "import", str(file)),
        "export, jsonl": run(url, folder, "export", str(folder / "out.jsonl")),
        "export, csv": run(url, folder, "export", str(folder / "out.csv")),
    }


def print_runs(
    kind: str, counts: tuple[int, int], few: Mapping[str, Run], many: Mapping[str, Run]
) -> None:
    print(
        f"\n{kind}: {counts[1]:,} accounts; peak memory of {counts[0]:,} and {counts[1]:,} accounts"
    )
    for name, long in many.items():
        short = few[name]
        # Excludes the start of the command.
        rate = (counts[1] - counts[0]) / (long.seconds - short.seconds)
        memory = f"{short.peak_mib:6.0f} MiB {long.peak_mib:6.0f} MiB"
        print(f"  {name:<16} {long.seconds:8.1f} s {rate:10,.0f} rows/s {memory}")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    counts = (min(FEW, count // 10), count)
    with tempfile.TemporaryDirectory() as name, postgresql_folder() as socket:
        folder = Path(name)
        files = [write_file(folder / f"{n}.jsonl", n) for n in counts]
        sqlite = SqliteTemplates(folder)
        postgresql = PostgresqlTemplates(socket)
        few, many = (measure(sqlite.new(folder), folder, file) for file in files)
        print_runs("SQLite", counts, few, many)
        few, many = (measure(postgresql.new_uncached(), folder, file) for file in files)
        print_runs("PostgreSQL", counts, few, many)


if __name__ == "__main__":
    main()
