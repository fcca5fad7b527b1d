"""Program that decodes with sherpa-onnx, in a process of its own: its checks end the process.

Reads from standard input a line of JSON, ``{"class": ..., "constructor": ...,
"arguments": {...}, "tail": samples, "sampling_rate": Hz}``, then batches: a line
with the numbers of samples of its utterances, and their float32 samples. Writes a
line for each batch, marked by ``MARK``, for sherpa-onnx prints lines of its own: as
JSON a list of ``{"tokens": [...], "timestamps": [...], "text": ...}``. Imports
nothing of asrkd.
"""

import json
import sys
from typing import Any

import numpy as np
import sherpa_onnx

MARK = "asrkd-answer "


def main() -> None:
    """Build the recognizer and decode batches until the input ends."""
    source, sink = sys.stdin.buffer, sys.stdout
    request = json.loads(source.readline())
    build = getattr(getattr(sherpa_onnx, request["class"]), request["constructor"])
    recognizer = build(**request["arguments"])
    print(MARK + json.dumps({"version": sherpa_onnx.__version__}), file=sink, flush=True)
    online = request["class"] == "OnlineRecognizer"
    tail = np.zeros(request["tail"], dtype=np.float32)
    while line := source.readline():
        audio = [np.frombuffer(source.read(4 * size), dtype=np.float32) for size in json.loads(line)]
        streams = [recognizer.create_stream() for _ in audio]
        for stream, samples in zip(streams, audio, strict=True):
            stream.accept_waveform(request["sampling_rate"], samples)
            if online:
                stream.accept_waveform(request["sampling_rate"], tail)
                stream.input_finished()
        results = _online(recognizer, streams) if online else _offline(recognizer, streams)
        print(MARK + json.dumps(results), file=sink, flush=True)


def _offline(recognizer: Any, streams: list[Any]) -> list[dict[str, Any]]:
    recognizer.decode_streams(streams)
    return [_result(stream.result) for stream in streams]


def _online(recognizer: Any, streams: list[Any]) -> list[dict[str, Any]]:
    while ready := [stream for stream in streams if recognizer.is_ready(stream)]:
        recognizer.decode_streams(ready)
    return [
        {
            "tokens": recognizer.tokens(stream),
            "timestamps": recognizer.timestamps(stream),
            "text": recognizer.get_result(stream),
        }
        for stream in streams
    ]


def _result(result: Any) -> dict[str, Any]:
    return {
        "tokens": list(result.tokens),
        "timestamps": [float(second) for second in result.timestamps],
        "text": result.text,
    }


if __name__ == "__main__":
    main()
