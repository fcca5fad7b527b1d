"""Processes of tests that start in a moment: :func:`run` and :class:`Popen` as of :mod:`subprocess`.

The command is ``[sys.executable, "-m", MODULE, ...]`` or ``[sys.executable, "-c", CODE, ...]``. It becomes a
child of this process, to be waited for, signalled and killed like any other, but is forked from one that has
torch imported (:mod:`tests.fork_server`), which saves 2 to 3 seconds each.

A test about the start of an interpreter (what is imported, PYTHONPATH, locale, hash seed, threads, memory)
takes :mod:`subprocess`.
"""

import atexit
import ctypes
import functools
import inspect
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fork_server import MESSAGE_SIZE, VARIABLE

ROOT = Path(__file__).parents[1]
PR_SET_CHILD_SUBREAPER = 36
_SIGNATURE = inspect.signature(subprocess.Popen._execute_child)

# What stands on the PATH of make: asks the server for a process and ends as that does.
PROGRAM = """#!{python} -IS
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect({path!r})
words = ["-m", "asrkd", *sys.argv[1:]]
request = dict(words=words, cwd=os.getcwd(), environment=dict(os.environ), session=False)
socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: server.send(b"%d" % number))
status = int(server.recv(64))
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


class _Server:
    """The fork server of this process; it ends with this process."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="asrkd-")  # a socket's path has room for 107 bytes
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self.path = f"{folder}/socket"
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._control, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        programs = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        programs.bind(self.path)  # here, so that no program can come too early
        programs.listen(16)
        # In a session of its own: Ctrl-C and signals to the group of the tests leave it alone.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", str(its.fileno()), str(programs.fileno())],
            cwd=ROOT,
            env=os.environ | {VARIABLE: self.path},
            pass_fds=[its.fileno(), programs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        its.close()
        programs.close()
        atexit.register(self._end)

    def _end(self) -> None:
        self._control.close()
        self._process.wait()

    def fork(self, request: dict[str, Any], descriptors: list[int]) -> int:
        """The process id of a new child of this process."""
        message = json.dumps(request).encode()
        assert len(message) < MESSAGE_SIZE
        self._adopt(True)
        try:
            socket.send_fds(self._control, [message], descriptors)
            pid = int(self._control.recv(64))
            assert self._control.recv(64) == b"done"
        finally:
            self._adopt(False)
        return pid

    def _adopt(self, orphans: bool) -> None:
        """Become the parent of descendants whose parent ends from now on, or leave them to init."""
        if self._libc.prctl(PR_SET_CHILD_SUBREAPER, int(orphans), 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


@functools.lru_cache(maxsize=1)
def server() -> _Server:
    """The fork server, which starts when it is first needed."""
    return _Server()


class Popen(subprocess.Popen):
    """A child that is forked by the server; the arguments are those of :class:`subprocess.Popen`."""

    def _execute_child(self, *args: Any, **more: Any) -> None:
        given = _SIGNATURE.bind(self, *args, **more).arguments
        python, *words = map(os.fspath, given["args"])
        assert python == sys.executable and words[0] in ("-m", "-c"), given["args"]
        request = {
            "words": words,
            "cwd": os.fspath(given["cwd"] or os.getcwd()),
            "environment": dict(os.environ if given["env"] is None else given["env"]),
            "session": bool(given["start_new_session"]),
        }
        ends = [given["p2cread"], given["c2pwrite"], given["errwrite"]]
        self.pid = server().fork(request, [own if end == -1 else end for own, end in enumerate(ends)])
        self._child_created = True
        self._close_pipe_fds(*(given[name] for name in _PIPES))


_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


def run(
    command: list[Any],
    *,
    timeout: float | None = None,
    check: bool = False,
    capture_output: bool = False,
    **more: Any,
) -> "subprocess.CompletedProcess[Any]":
    """Like :func:`subprocess.run`."""
    if capture_output:
        more |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, **more) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


@functools.lru_cache(maxsize=1)
def environment() -> Path:
    """An environment for make's ``VENV=``, complete in its eyes, whose ``asrkd`` is forked by the server."""
    folder = Path(server().path).with_name("environment")
    (folder / "bin").mkdir(parents=True)
    programs = {
        "asrkd": PROGRAM.format(python=sys.executable, path=server().path),
        "python": f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n',
    }
    for name, text in programs.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    (folder / "pyvenv.cfg").touch()
    choose = [str(ROOT / "constraints/choose.sh"), str(folder), "", sys.executable]
    chosen = subprocess.run(choose, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    (folder / chosen[1]).write_text(f"{chosen[0]} {chosen[2]}\n")
    return folder
