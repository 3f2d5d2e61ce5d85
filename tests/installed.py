"""Runs tests against the wheel: `python -m tests.installed [pytest arguments]`.

The wheel is built from the sdist and installed into an environment of its own. The tests run in a
project that has modules called `auth`, `graph`, `models` and `server` itself.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from hatch_build import MOVED, PACKAGE, rename_imports

ROOT = Path(__file__).parents[1]
# These are about the repository, or take long without reaching more of the package.
_LEFT_OUT = ("contracts", "docs", "benchmarks", "faults", "examples")
_NOT_COPIED = {".git", ".venv", ".venv-site", "node_modules", "__pycache__", "data", "site"}
_DOTTED_NAME = re.compile(rf"(?<=[\"'`])({'|'.join(MOVED)})\.(\w+)")


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status of pytest."""
    with tempfile.TemporaryDirectory(prefix="postern-wheel-") as folder:
        python = _environment(Path(folder) / "environment", _wheel(Path(folder)))
        project = Path(folder) / "project"
        _write_project(project)
        ignored = [f"--ignore=tests/{name}" for name in _LEFT_OUT]
        command = [str(python), "-m", "pytest", *ignored, *arguments]
        return subprocess.run(command, cwd=project, check=False).returncode


def _wheel(folder: Path) -> Path:
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run([*build, "-t", "sdist"], cwd=ROOT, check=True)
    (sdist,) = folder.glob("*.tar.gz")
    shutil.unpack_archive(sdist, folder / "sdist", filter="data")
    (source,) = (folder / "sdist").iterdir()
    subprocess.run([*build, "-t", "wheel"], cwd=source, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _environment(folder: Path, wheel: Path) -> Path:
    """An environment with the wheel and the dependencies of this one, but not its Postern."""
    venv.create(folder)
    python = folder / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # Editable installs are .pth files, which Python reads only in the folder of an environment.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    shutil.unpack_archive(wheel, packages, "zip")
    return python


def _write_project(project: Path) -> None:
    kept = [path for path in ROOT.iterdir() if path.name not in (PACKAGE, *MOVED, *_NOT_COPIED)]
    for path in kept:
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file() and not _NOT_COPIED & set(file.relative_to(ROOT).parts):
                _copy(file.relative_to(ROOT), project / file.relative_to(ROOT))
    for module in MOVED:
        (project / f"{module}.py").write_text('"""A module of the project that uses Postern."""\n')
    for modules in (*ROOT.glob("*/node_modules"), *ROOT.glob("*/*/node_modules")):
        (project / modules.relative_to(ROOT)).symlink_to(modules)


def _copy(name: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / name, target)
    if name.suffix == ".py":
        text = rename_imports((ROOT / name).read_text(encoding="utf-8"), str(name))
        target.write_text(_DOTTED_NAME.sub(_rename_module, text), encoding="utf-8")


def _rename_module(name: re.Match[str]) -> str:
    """Renames a module that is named in text, as for `monkeypatch`. `auth.example.com` is none."""
    module = ROOT / name[1] / name[2]
    is_module = module.is_dir() or module.with_suffix(".py").exists()
    return f"{PACKAGE}.{name[0]}" if is_module else name[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
