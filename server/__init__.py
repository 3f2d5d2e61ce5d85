"""The server layer: HTTP, configuration and the command line."""

import sys

# structlog would import rich for tracebacks, and uvicorn a file watcher for reloads. Postern uses
# neither. Together they take 8 MB of an idle process.
_unwanted = {"rich", "watchfiles"} - sys.modules.keys()
for name in _unwanted:
    # Python raises ImportError for modules that are None.
    sys.modules[name] = None  # type: ignore[assignment]

import structlog.dev  # noqa: E402, F401
import uvicorn.supervisors  # noqa: E402, F401

for name in _unwanted:
    del sys.modules[name]
