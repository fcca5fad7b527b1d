"""Folder for the sockets of worker processes, whose path must be short.

``multiprocessing`` puts a socket below ``TMPDIR``, and Linux refuses a socket
whose path is longer than 107 bytes. Schedulers set long temporary folders:
without this, worker processes fail to start, and loaders wait forever.
"""

import os
import tempfile
from multiprocessing.util import get_temp_dir

LONGEST_SOCKET = 107  # bytes of sun_path in unix(7), less its closing zero
OF_MULTIPROCESSING = len("/pymp-12345678/listener-12345678")  # a folder of it and a socket
SHORT_FOLDER = "/tmp"


def keep_sockets_short() -> None:
    """Let sockets of this process and its children lie below ``/tmp`` where ``TMPDIR`` is too long for them.

    To be called before worker processes are started; ``tempfile`` itself is left as it is.
    """
    if len(os.fsencode(tempfile.gettempdir())) + OF_MULTIPROCESSING <= LONGEST_SOCKET:
        return
    before, tempfile.tempdir = tempfile.tempdir, SHORT_FOLDER
    try:
        get_temp_dir()  # made once in a process, and inherited
    finally:
        tempfile.tempdir = before
