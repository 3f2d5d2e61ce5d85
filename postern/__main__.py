"""`python -m postern` is the `postern` command."""

import gc
import sys


def main() -> None:
    """Runs the command line. `serve` loads only what a server needs, which saves memory."""
    # Imported modules are never garbage. Without collections the start takes a sixth less time.
    gc.disable()
    if sys.argv[1:2] == ["serve"]:
        from server.cli.serve import main as run  # noqa: PLC0415 - loads less than the next
    else:
        from server.cli.main import main as run  # noqa: PLC0415 - loads every command
    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
