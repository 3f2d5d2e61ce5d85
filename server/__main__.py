"""`python -m server` is `postern`."""

import gc

# What is imported stays: looking through it for garbage is a sixth of the time of a start.
gc.disable()

from server.cli import main  # noqa: E402

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main()
