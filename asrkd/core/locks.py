"""Locks between processes: advisory locks on files, which end with their holder, however it ends.

On a file system without locks every process gets every lock. So a lock may only guard work that does no
harm if it is done twice.
"""

import errno
import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from asrkd.core.files import make_folder

_HELD = (errno.EACCES, errno.EAGAIN)  # another process holds the lock; the error number depends on the system
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # the file system has none
RETRY_S = 1.0


@contextmanager
def lock(path: Path, while_waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let one process at a time into the block; the others wait.

    Args:
        path: the lock file, which is created and stays.
        while_waiting: function called once a second; it may raise to give up.
    """
    make_folder(path.parent)
    with path.open("w") as stream:
        while not _acquire(stream):
            while_waiting()
            time.sleep(RETRY_S)
        yield


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold a lock within the block unless another process holds it; yield whether it is held.

    Args:
        path: the lock file, which is removed after the block; its folder is removed with its last lock.
    """
    with _create(path) as stream:
        if not _acquire(stream):
            yield False
            return
        try:
            yield True
        finally:
            # A process that has opened this file but not locked it yet can hold the lock beside the next one.
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()


def _acquire(stream: IO[str]) -> bool:
    """Lock an open file; return False if another process holds its lock."""
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _create(path: Path) -> IO[str]:
    """Open a lock file for writing, in a folder that other processes may remove at any time."""
    while True:
        make_folder(path.parent)
        try:
            return path.open("w")
        except FileNotFoundError:  # the folder was removed after make_folder
            continue
