"""Scores of exports: what sherpa-onnx recognizes of cuts, so that what ships is what is scored."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from lhotse import MonoCut

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora.recordings import samples_of
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.word_emissions import EmissionClock
from asrkd.deployment.exported import ExportedModel
from asrkd.deployment.sherpa import BATCH, FRAME_S, SherpaProcess, SherpaResult, require_sherpa
from asrkd.deployment.tokens_file import spelled
from asrkd.targets.store.shard_parts import SerializedOutputs
from asrkd.targets.store.shards import Shard

RUNTIME = "sherpa-onnx"


@dataclass(frozen=True)
class RuntimeSearch:
    """Search of sherpa-onnx: arguments of its constructor."""

    method: str
    max_active_paths: int | None  # of the beam

    def arguments(self) -> dict[str, Any]:
        """Return keyword arguments of the constructor."""
        paths = {} if self.max_active_paths is None else {"max_active_paths": self.max_active_paths}
        return {"decoding_method": self.method, **paths}


def open_export(path: Path, name: str, options: SearchOptions) -> tuple[ExportedModel, RuntimeSearch]:
    """Open an export, and translate ``--search``.

    Raises:
        AsrkdError: it is no export, sherpa-onnx is missing, or has no such search of the export.
    """
    require_sherpa()
    exported = ExportedModel.load(path)
    of_transducer = exported.kind.endswith("transducer")
    if options.lm is not None:
        raise AsrkdError(f"--lm {options.lm}: has no effect with --runtime {RUNTIME}; remove it")
    if name in ("greedy", "transducer-greedy" if of_transducer else "greedy"):
        return exported, RuntimeSearch("greedy_search", None)
    if name == "transducer-beam" and of_transducer:
        return exported, RuntimeSearch("modified_beam_search", options.beam)
    searches = "greedy or transducer-beam" if of_transducer else "greedy"
    raise AsrkdError(
        f"--search {name}: sherpa-onnx decodes an export of the kind {exported.kind} by {searches}"
    )


def export_lines(shard: Shard, first: int, search: RuntimeSearch) -> SerializedOutputs:
    """Yield the lines of what sherpa-onnx recognizes of the cuts from number ``first`` on."""
    process, cuts = _process(shard.model, search), iter(shard.cuts[first:])
    clock = EmissionClock(FRAME_S, ExportedModel.load(shard.model).chunk_frames)
    while batch := list(islice(cuts, BATCH)):
        results = process.recognize([samples_of(cut) for cut in batch])
        for cut in batch[:-1]:
            yield cut.duration, []
        lines = [_line(clock, cut, result) for cut, result in zip(batch, results, strict=True)]
        yield batch[-1].duration, lines


@lru_cache(maxsize=1)
def _process(path: Path, search: RuntimeSearch) -> SherpaProcess:
    """Start sherpa-onnx once in a process; it ends with it, as its input does."""
    return SherpaProcess(ExportedModel.load(path), search.arguments())


def _line(clock: EmissionClock, cut: MonoCut, result: SherpaResult) -> bytes:
    text = text_of(result.tokens)
    row: dict[str, Any] = {"id": cut.id, "text": text, "frames": list(result.frames)}
    emission = clock.emission(result.tokens, result.frames, text)
    row |= {} if emission is None else emission.to_record()
    return (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8")


def text_of(tokens: Sequence[str]) -> str:
    """Spell the tokens of sherpa-onnx, whose text is post-processed by version."""
    return "".join(map(spelled, tokens)).strip()
