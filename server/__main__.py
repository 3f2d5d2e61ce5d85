"""`python -m server` is `postern`."""

from server.cli import main

main()
