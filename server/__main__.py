"""`python -m server` is `postern`."""

import gc
import sys


def main() -> None:
    """Runs the command line, or of it what is asked for most."""
    # What is imported stays: looking through it for garbage is a sixth of the time of a start.
    gc.disable()
    if sys.argv[1:2] == ["serve"]:
        from server.cli.serve import main as run  # noqa: PLC0415 - the rest is left alone
    else:
        from server.cli.main import main as run  # noqa: PLC0415 - the same
    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
