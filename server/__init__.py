"""The process: HTTP, configuration, command line. Imports `graph`, `auth` and `models`."""

import sys

if "rich" not in sys.modules:
    # structlog would load rich, and rich pygments, for tracebacks that are never drawn here: of an
    # idle process they were 7 MB.
    sys.modules["rich"] = None  # type: ignore[assignment] # Python's own way to say: not there
    import structlog.dev  # noqa: F401

    del sys.modules["rich"]
