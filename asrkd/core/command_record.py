"""Record of the command that made a folder, for messages that say how to remake it.

``command.json`` decides nothing. It holds the command line as it was typed in
the working directory of that time, without ``--out`` and without options that
do not change the contents, such as ``--jobs``; so equal folders have equal
bytes in this file too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from asrkd.core import files
from asrkd.core.artifacts import COMMAND
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command

_COMMAND_LINE: ContextVar[str | None] = ContextVar("command line", default=None)


@contextmanager
def command_line(words: Sequence[str | Path]) -> Iterator[None]:
    """Run the block under a command line: program, arguments, options."""
    token = _COMMAND_LINE.set(command(*words))
    try:
        yield
    finally:
        _COMMAND_LINE.reset(token)


def current_command() -> str | None:
    """Return the running command line; None outside of a command line."""
    return _COMMAND_LINE.get()


def write_command(out: Path) -> None:
    """Write the running command line into ``out``; do nothing outside of a command line."""
    if (line := current_command()) is not None:
        files.write_json(out / COMMAND, {"command": line})


def read_command(out: Path) -> str | None:
    """Read the command that makes the folder ``out``; None if the folder has no record of it."""
    try:
        line = files.read_json(out / COMMAND)["command"] if (out / COMMAND).is_file() else None
    except (AsrkdError, KeyError, TypeError):  # torn or of another program, which the message is not about
        line = None
    return f"{line} {command('--out', out)}" if isinstance(line, str) else None
