"""The command that a folder was made by, kept in it for messages that say how to make it anew.

``command.json`` decides nothing: the command line as it was typed, from the
working directory of then, but for ``--out`` and for what does not belong to
the result, such as ``--jobs``; so equal folders side by side have equal
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

_TYPED: ContextVar[str | None] = ContextVar("typed", default=None)


@contextmanager
def typed(words: Sequence[str | Path]) -> Iterator[None]:
    """Within the block a command runs that was typed so: program, arguments, options."""
    before = _TYPED.set(command(*words))
    try:
        yield
    finally:
        _TYPED.reset(before)


def keep_command(out: Path) -> None:
    """Write the command that is being run into ``out``; nothing where the folder is made by a call."""
    if (line := _TYPED.get()) is not None:
        files.write_json(out / COMMAND, {"command": line})


def known_command(out: Path) -> str | None:
    """The command that makes the folder ``out``; None where it does not say."""
    try:
        kept = files.read_json(out / COMMAND)["command"] if (out / COMMAND).is_file() else None
    except (AsrkdError, KeyError, TypeError):  # torn or another's, which is not what the message is about
        kept = None
    return f"{kept} {command('--out', out)}" if isinstance(kept, str) else None
