"""Fork server: a process that has imported torch and all commands, and forks processes for tests.

    python -m tests.fork_server FD LISTENING

FD is a socket to the tests' process, LISTENING one that programs connect to. A request is a message of JSON
with three descriptors: the words after ``python``, the working directory, the
environment. What is forked becomes what ``python WORDS`` would be, 2 to 3
seconds sooner; it differs in what an interpreter reads from its environment
when it starts (locale, hash seed, number of threads).

:mod:`tests.forked` sends requests. So does the program ``asrkd`` of
:func:`tests.forked.environment`, by the socket in :data:`VARIABLE`.
"""

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import multiprocessing.util
import os
import pkgutil
import random
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import asrkd

VARIABLE = "ASRKD_TESTS_FORK_SERVER"  # path of the socket of programs
MESSAGE_SIZE = 1 << 20


def import_everything() -> None:
    """Import all modules of asrkd, but those of optional packages that are not there."""
    for module in pkgutil.walk_packages(asrkd.__path__, "asrkd."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)
    for name in ("hypothesis", "psutil", "pytest"):  # of modules of tests, which some processes import
        importlib.import_module(name)


def fork_child_of(control: socket.socket, descriptors: list[int]) -> bool:
    """Fork a child that the tests' process inherits, as the subreaper that it is; True in the child.

    A process between the two ends at once; then the child is the tests' own, to be waited for and killed.
    """
    between = os.fork()
    if between == 0:
        pid = os.fork()
        if pid == 0:
            return True
        control.send(b"%d" % pid)
        os._exit(0)
    for descriptor in descriptors:
        os.close(descriptor)
    os.waitpid(between, 0)
    control.send(b"done")
    return False


def fork_for_program(client: socket.socket, descriptors: list[int]) -> bool:
    """Fork a child for a program that waits at the other end; True in the child.

    A keeper passes signals on, reports how the child ended, and kills it when the program is gone.
    """
    if os.fork() != 0:
        client.close()
        for descriptor in descriptors:
            os.close(descriptor)
        return False
    pid = os.fork()
    if pid == 0:
        client.close()
        return True
    ended = os.pidfd_open(pid)
    while ended not in (ready := select.select([ended, client], [], [])[0]):
        assert client in ready
        number = client.recv(64)
        os.kill(pid, int(number) if number else signal.SIGKILL)
        if not number:
            break
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        client.send(b"%d" % status)
    finally:
        os._exit(0)


def serve(control: socket.socket, programs: socket.socket) -> tuple[dict, list[int]]:
    """Fork for each request until the tests' process is gone; returns, with the request, in a child only."""
    while True:
        for ready in select.select([control, programs], [], [])[0]:
            end = control if ready is control else programs.accept()[0]
            message, descriptors, _, _ = socket.recv_fds(end, MESSAGE_SIZE, 3)
            if not message:
                if end is control:
                    os._exit(0)
                end.close()
                continue
            fork = fork_child_of if end is control else fork_for_program
            if fork(end, descriptors):
                control.close()
                programs.close()
                return json.loads(message), descriptors
        while _has_child() and os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _has_child() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def become(request: dict, descriptors: list[int]) -> None:
    """Be the process that was requested, up to its first line of Python."""
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
    for descriptor in descriptors:
        if descriptor > 2:
            os.close(descriptor)
    if request["session"]:
        os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        mode = "w" if number else "r"
        errors = "backslashreplace" if number == 2 else "strict"
        stream = open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        if number == 2:
            stream.reconfigure(line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def keep_workers_ready() -> None:
    """Fork what multiprocessing's fork server will be, if this process starts one: workers start sooner too.

    It waits as this process is now, so that workers inherit nothing of what the program does to its modules.
    """
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        here.close()
        message, descriptors, _, _ = socket.recv_fds(there, MESSAGE_SIZE, 16)
        if not message:
            os._exit(0)
        there.close()
        code, numbers = json.loads(message)
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 100 + max(numbers)) for descriptor in descriptors]
        for descriptor, number in zip(high, numbers, strict=True):
            os.dup2(descriptor, number)
        for descriptor in {*high, *descriptors} - set(numbers):
            os.close(descriptor)
        sys.argv = ["-c"]
        exec(code, {})
        os._exit(0)
    there.close()
    start = multiprocessing.util.spawnv_passfds

    def spawn(path: bytes, arguments: list[Any], descriptors: Sequence[int]) -> int:
        if here.fileno() == -1 or "multiprocessing.forkserver" not in arguments[-1]:
            return start(path, arguments, descriptors)
        message = json.dumps([arguments[-1], list(descriptors)]).encode()
        socket.send_fds(here, [message], list(descriptors))
        here.close()
        return pid

    multiprocessing.util.spawnv_passfds = spawn


def run(words: list[str]) -> None:
    """Run ``-m MODULE ...`` or ``-c CODE ...`` as the program of this process."""
    option, program, *rest = words
    # As in a process of its own; the hash seed alone is that of the server.
    random.seed()
    sys.modules["numpy"].random.seed()
    sys.modules["torch"].seed()
    sys.path[0] = ""
    sys.argv = [option, *rest]
    if option == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), main.__dict__)


def end(words: list[str]) -> None:
    """Run the program and end as Python does, but leave its modules as they are, which saves 0.25 s."""
    status: object = 0
    try:
        run(words)
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
        status = 1
    if not isinstance(status, int):
        if status is not None:
            print(status, file=sys.stderr)
        status = int(status is not None)
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        status = 120
    os._exit(status & 255)


def main() -> None:
    """Import, listen, fork."""
    control = socket.socket(fileno=int(sys.argv[1]))
    programs = socket.socket(fileno=int(sys.argv[2]))
    import_everything()
    gc.collect()
    gc.freeze()
    request, descriptors = serve(control, programs)
    become(request, descriptors)
    if "jobs" in " ".join(request["words"]):
        keep_workers_ready()
    end(request["words"])


if __name__ == "__main__":
    main()
