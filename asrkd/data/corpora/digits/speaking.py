"""Reproducible synthesis of many sentences: the samples of each are a function of its request alone.

The output of espeak-ng depends on the sentences that its process spoke before.
So a helper process loads espeak-ng without speaking, and forks a child for
every sentence. The helper imports neither numpy nor torch, so that it starts
quickly and has no threads.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora.digits.espeak import Espeak, EspeakOutput, Request


def speak(requests: Sequence[Request]) -> list[EspeakOutput]:
    """Synthesize every request in a new process; each output is a function of its request alone.

    Raises:
        AsrkdError: espeak-ng is not installed, has no such voice, or was killed.
        RuntimeError: the helper failed for another reason; its output is in the message.
    """
    lines = "".join(json.dumps(asdict(request)) + "\n" for request in requests)
    # The helper imports asrkd from the same place as this process, installed or not.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    # A signal to the whole process group must not end a block half way: the helper
    # inherits the mask, and pending signals arrive here afterwards.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    try:
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name], input=lines.encode(), capture_output=True, env=environment
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if done.returncode < 0:
        raise AsrkdError(f"espeak-ng's process was killed by signal {-done.returncode}; run it again")
    if done.returncode > 0:
        raise RuntimeError(f"espeak-ng's process failed: {done.stderr.decode('utf-8', 'replace')}")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for answer in answers:
        if "error" in answer:
            raise AsrkdError(answer["error"])
    return [_from_json(answer) for answer in answers]


def _to_json(speech: EspeakOutput) -> dict[str, Any]:
    return asdict(speech) | {"pcm": base64.b64encode(speech.pcm).decode("ascii")}


def _from_json(answer: dict[str, Any]) -> EspeakOutput:
    return EspeakOutput(
        pcm=base64.b64decode(answer["pcm"]),
        words=tuple((position, sample) for position, sample in answer["words"]),
        phonemes=tuple((name, sample) for name, sample in answer["phonemes"]),
    )


def _answer(espeak: Espeak, request: Request) -> dict[str, Any]:
    try:
        return _to_json(espeak.speak(request))
    except AsrkdError as error:
        return {"error": str(error)}


def _answer_in_child(espeak: Espeak, request: Request) -> None:
    """Fork a child that speaks and prints its answer, and wait for it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            print(json.dumps(_answer(espeak, request)), flush=True)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, wait_status = os.waitpid(child, 0)
    if os.WIFSIGNALED(wait_status):
        signal_number = os.WTERMSIG(wait_status)
        print(json.dumps({"error": f"espeak-ng died of signal {signal_number} at {request}"}), flush=True)
    elif wait_status != 0:
        raise SystemExit(1)


def _serve() -> None:
    """Run the helper: one request per line on stdin, one answer per line on stdout."""
    requests = [Request(**json.loads(line)) for line in sys.stdin]
    try:
        espeak = Espeak()
    except AsrkdError as error:
        print(json.dumps({"error": str(error)}))
        return
    for request in requests:
        _answer_in_child(espeak, request)


if __name__ == "__main__":
    _serve()
