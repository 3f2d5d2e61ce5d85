"""The failure of a command, as the terminal shows it."""


class CommandFailed(Exception):
    """A command cannot go on. Each line says why, or what to do."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines
