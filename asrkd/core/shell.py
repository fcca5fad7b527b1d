"""Shell commands in messages: ready to paste, whatever characters a path holds.

Every command in a message is written here, so that a space, a quote, a leading
dash or a newline in a path cannot change its meaning. The user pastes it into
bash, zsh or ksh.
"""

import shlex
from pathlib import Path

from asrkd.core.errors import one_line


def command(*words: str | Path) -> str:
    """Write a command.

    Args:
        words: the program and its arguments. A path that begins with a dash is
            written as ``./-x``, so that it is not taken for an option.

    Returns:
        One line, which a shell splits into exactly these words.
    """
    return " ".join(map(_quote, words))


def then(*commands: str) -> str:
    """Join commands so that each runs only if the previous ones succeeded."""
    return " && ".join(commands)


def remove(*paths: Path) -> str:
    """Write the command that removes files."""
    return command("rm", *paths)


def remove_folder(folder: Path) -> str:
    """Write the command that removes a folder and its contents."""
    return command("rm", "-r", folder)


def make_again(folder: Path, maker: str, what: str = "it") -> str:
    """Write the remedy of a message about a folder that must be removed and made again.

    Args:
        folder: the folder to remove.
        maker: the command that makes it, as :func:`command` writes it.
        what: noun for the folder.
    """
    return f"make {what} again: {then(remove_folder(folder), maker)}"


def _quote(word: str | Path) -> str:
    text = f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
    return shlex.quote(text) if one_line(text) == text else f"$'{''.join(map(_escape, text))}'"


def _escape(char: str) -> str:
    """Escape a character for ``$'...'``: octal bytes if it is special there, or would break the line."""
    if char in "\\'!" or one_line(char) != char:  # '!' recalls an earlier command in interactive shells
        return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogateescape"))
    return char
