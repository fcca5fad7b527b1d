"""Decoding with sherpa-onnx in a child process, as exports of asrkd are meant to be decoded."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from lhotse import MonoCut
from numpy.typing import NDArray

from asrkd.core.errors import AsrkdError
from asrkd.core.installed import version
from asrkd.data.cuts.records import records
from asrkd.deployment.exported import ExportedModel

FRAME_S = 0.04  # seconds of a frame in sherpa-onnx's timestamps, a constant of the program
MARK = b"asrkd-answer "  # before each answer of sherpa_child, which imports nothing of asrkd
BATCH = 16  # utterances that are decoded together
OLDEST = (1, 12, 26)  # earlier ones emit a repeated token again at chunk boundaries


@dataclass(frozen=True)
class SherpaResult:
    """Tokens that sherpa-onnx emitted for an utterance, and the encoder frames that it did at."""

    tokens: tuple[str, ...]  # as tokens.txt has them, or a space
    frames: tuple[int, ...]
    text: str


def require_sherpa() -> str:
    """Return the version of sherpa-onnx; AsrkdError if it is missing or too old."""
    installed = version("sherpa-onnx")
    if installed is None:
        raise AsrkdError('--runtime sherpa-onnx: is not installed; pip install "asrkd[deployment]"')
    if tuple(int(part) for part in installed.split("+")[0].split(".")[:3]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise AsrkdError(
            f'sherpa-onnx {installed}: expected {oldest} or later; pip install -U "asrkd[deployment]"'
        )
    return installed


def check_audio(exported: ExportedModel, cuts: Sequence[MonoCut], where: Path) -> None:
    """Raise AsrkdError unless the cuts have the sampling rate of the export."""
    for record in records(cuts):
        if record.sampling_rate != exported.sampling_rate:
            raise AsrkdError(
                f"{where}: cut {record.id} has {record.sampling_rate} Hz, the export {exported.path} reads "
                f"{exported.sampling_rate} Hz; prepare the cuts as its training data"
            )


class SherpaProcess(AbstractContextManager["SherpaProcess"]):
    """A process that has loaded an export, on one thread."""

    def __init__(self, exported: ExportedModel, arguments: dict[str, Any] | None = None) -> None:
        """Start it.

        Args:
            exported: folder of an export.
            arguments: further arguments of sherpa-onnx's constructor, such as ``decoding_method``.

        Raises:
            AsrkdError: sherpa-onnx is missing, or does not load the export.
        """
        require_sherpa()
        self._exported = exported
        child = Path(__file__).with_name("sherpa_child.py")
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads would fill
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(child)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
        )
        paths = {name: str(exported.path / file) for name, file in exported.files.items()}
        self._send(
            json.dumps(
                {
                    "class": exported.recognizer,
                    "constructor": exported.constructor,
                    "arguments": exported.arguments | paths | (arguments or {}),
                    "tail": exported.tail_samples,
                    "sampling_rate": exported.sampling_rate,
                }
            ).encode()
            + b"\n"
        )
        self.version: str = self._receive()["version"]

    def recognize(self, audio: Sequence[NDArray[np.float32]]) -> list[SherpaResult]:
        """Decode utterances, samples (S,) in -1..1 each, in one batch; silence is added behind streams.

        Raises:
            AsrkdError: sherpa-onnx ended.
        """
        if not audio:
            return []
        lengths = json.dumps([len(samples) for samples in audio]).encode() + b"\n"
        self._send(lengths + b"".join(np.ascontiguousarray(samples).tobytes() for samples in audio))
        return [
            SherpaResult(
                tokens=tuple(row["tokens"]),
                frames=tuple(round(second / FRAME_S) for second in row["timestamps"]),
                text=row["text"],
            )
            for row in self._receive()
        ]

    def _send(self, message: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(message)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _receive(self) -> Any:
        """Read a line of JSON; what sherpa-onnx itself prints before it is skipped."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(MARK):
                return json.loads(line[len(MARK) :])
        raise self._ended()

    def _ended(self) -> AsrkdError:
        self._process.wait()
        self._messages.seek(0)
        lines = [line for line in self._messages.read().decode(errors="replace").splitlines() if line.strip()]
        reason = lines[-1] if lines else "no message"
        return AsrkdError(
            f"{self._exported.path}: sherpa-onnx ended with exit status {self._process.returncode}: {reason}"
            "; export the model again: asrkd export"
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self._process.wait()
        self._messages.close()
