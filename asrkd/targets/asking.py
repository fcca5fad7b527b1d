"""Filling a store: the shards that are missing, by any number of processes.

Shard boundaries follow from the list of cuts alone, and a shard is computed
whole by one process, so its bytes do not depend on jobs, order or kills.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd import outputs
from asrkd.decoding import SearchOptions, find_search
from asrkd.models.conformer import Tap
from asrkd.models.directory import LoadedModel, load_model
from asrkd.models.inference import Answer, answers
from asrkd.parallel import run_tasks
from asrkd.progress import meter
from asrkd.quantizer.storage import load_quantizer
from asrkd.scoring.counts import count_errors
from asrkd.stopping import StopRequest
from asrkd.targets.store import Nbest, shard_name, write_array_shard, write_nbest_shard

SEARCH_BATCH = 16  # utterances searched together, always neighbours in a shard


@dataclass(frozen=True)
class ShardTask:
    """A piece of work for a process: ask the teacher about some cuts, write a shard."""

    path: Path
    cuts: tuple[MonoCut, ...]
    teacher: Path
    device: str


@dataclass(frozen=True)
class Work:
    """How to fill a store."""

    teacher: Path
    device: str
    cuts_per_shard: int
    jobs: int


def shard_tasks(out: Path, cuts: Sequence[MonoCut], work: Work, suffix: str) -> list[ShardTask]:
    """All shards of a store, present or not."""
    starts = range(0, len(cuts), work.cuts_per_shard)
    return [
        ShardTask(
            out / shard_name(number, len(starts), suffix),
            tuple(cuts[start : start + work.cuts_per_shard]),
            work.teacher,
            work.device,
        )
        for number, start in enumerate(starts)
    ]


def fill(
    out: Path, tasks: Sequence[ShardTask], write: Callable[[ShardTask], None], jobs: int, stop: StopRequest
) -> int:
    """Write the shards that are missing and stamp the store; how many were written.

    Raises:
        StoppedInTime: asked to stop; the shards that are finished stay.
    """
    missing = [task for task in tasks if not task.path.is_file()]
    done = sum(len(task.cuts) for task in tasks) - sum(len(task.cuts) for task in missing)
    total = sum(len(task.cuts) for task in tasks)
    results = run_tasks(write, missing, jobs=jobs)
    with closing(results), meter(f"distill {out.name}", total, "cuts", done) as shown:
        for task, _ in results:
            shown.advance(len(task.cuts), audio_s=sum(cut.duration for cut in task.cuts))
            if shown.done < total:
                stop.check(f"{out}: {shown.done} of {total} cuts are stored")
    outputs.stamp(out, {"num_shards": len(tasks), "num_cuts": total})
    return len(missing)


def nbest_writer(search: str, options: SearchOptions) -> Callable[[ShardTask], None]:
    """What writes a shard of N-best lists; importable by worker processes."""
    return partial(_write_nbest, search=search, options=options)


def codebook_writer(quantizer: Path, tap: Tap) -> Callable[[ShardTask], None]:
    """What writes a shard of codebook indexes; importable by worker processes."""
    return partial(_write_codebook, quantizer=quantizer, tap=tap)


def _write_nbest(task: ShardTask, search: str, options: SearchOptions) -> None:
    model = load_model(task.teacher, task.device)
    lists: list[Nbest] = []
    for start in range(0, len(task.cuts), SEARCH_BATCH):
        said = list(answers(model, task.cuts[start : start + SEARCH_BATCH]))
        lists += _search(model, said, search, options)
    write_nbest_shard(task.path, task.cuts, lists)


def _search(model: LoadedModel, said: Sequence[Answer], search: str, options: SearchOptions) -> list[Nbest]:
    log_probs = torch.nn.utils.rnn.pad_sequence([answer.log_probs for answer in said], batch_first=True)
    num_frames = torch.tensor([len(answer.log_probs) for answer in said])
    found = find_search(search)(log_probs, num_frames, options)
    lists = []
    for answer, hypotheses in zip(said, found, strict=True):
        scored: dict[str, float] = {}  # two token sequences of one text: the likelier stands for both
        for hypothesis in hypotheses:
            scored.setdefault(model.tokens.decode(list(hypothesis.tokens)), hypothesis.log_prob)
        lists.append(_with_errors(answer.cut, scored))
    return lists


def _with_errors(cut: MonoCut, scored: dict[str, float]) -> Nbest:
    """Count each hypothesis's word errors if the cut has a transcript."""
    texts, log_probs = list(scored), list(scored.values())
    references = [supervision.text for supervision in cut.supervisions]
    if not references or any(reference is None for reference in references):
        return Nbest(texts, log_probs, None, None)
    counts = [count_errors(" ".join(str(text) for text in references), text) for text in texts]
    return Nbest(texts, log_probs, [count.errors for count in counts], counts[0].num_words)


def _write_codebook(task: ShardTask, quantizer: Path, tap: Tap) -> None:
    loaded = load_quantizer(quantizer)
    indexes: list[Tensor] = []
    for answer in answers(load_model(task.teacher, task.device), task.cuts, [tap]):
        indexes.append(loaded.quantizer.encode(answer.tapped[tap]).to(torch.uint8))
    write_array_shard(task.path, task.cuts, indexes)
