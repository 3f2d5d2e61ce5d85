"""The process: HTTP, configuration, command line. Imports `graph`, `auth` and `models`."""

import sys

# structlog would load rich for tracebacks that are never drawn here, and uvicorn a watcher of files
# for reloading: of an idle process they were 8 MB.
_unwanted = {"rich", "watchfiles"} - sys.modules.keys()
for name in _unwanted:
    # Python's own way to say that there is no such module.
    sys.modules[name] = None  # type: ignore[assignment]

import structlog.dev  # noqa: E402, F401
import uvicorn.supervisors  # noqa: E402, F401

for name in _unwanted:
    del sys.modules[name]
