"""The exception of a failed command."""


class CommandFailed(Exception):
    """A command cannot continue. Each line says why, or what to do."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines
