"""Corpus ``digits``: synthetic speech with known words, word times, speakers and noise.

Numbers, dates, names and commands over 155 words, spoken by espeak-ng in 240
voices. The corpus needs no network and no recorded speech. Equal options give
equal bytes (with the same versions of numpy, torch and libsndfile) for any
number of jobs, in any order, after any interruption.

This module imports little, as the helper process of the synthesizer loads it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from asrkd.core.stopping import StopRequest
from asrkd.data.corpora.digits.options import SPLITS, DigitsOptions

if TYPE_CHECKING:
    from asrkd.data.cuts.packed import PackedCuts

__all__ = ["DigitsOptions", "SPLITS", "make", "train_lines"]


def train_lines(options: DigitsOptions) -> list[tuple[str, str]]:
    """Return transcript and speaker of each planned utterance of ``train``, in order."""
    from asrkd.data.corpora.digits.plan import plan_blocks

    blocks = plan_blocks(options, "train")
    return [(each.text.upper(), each.speaker.id) for block in blocks for each in block.utterances]


def make(out: Path, options: DigitsOptions, *, jobs: int, stop: StopRequest) -> "dict[str, PackedCuts]":
    """Make the corpus in ``out``, or resume it; return the cuts of each split, in order.

    A cut spans a whole recording ``audio/<split>/<block>/<cut id>.flac`` (a
    path relative to ``out``) and has one supervision with the words' times.

    Args:
        out: folder of the corpus.
        options: options of the corpus.
        jobs: number of processes.
        stop: request to stop, checked after every block of fifty utterances.

    Raises:
        AsrkdError: espeak-ng is missing or lacks a voice, or ``out`` has
            blocks of other options.
        StoppedInTime: a stop was requested; finished blocks are kept.
    """
    from asrkd.core.shared_work import Workers, work
    from asrkd.data.corpora.digits.blocks import BlockTask, make_block, read_block
    from asrkd.data.corpora.digits.plan import plan_blocks
    from asrkd.data.cuts.packed import PackedCuts

    tasks = {
        split: [BlockTask(out, block, options.sampling_rate) for block in plan_blocks(options, split)]
        for split in SPLITS
    }
    everything = [task for split in SPLITS for task in tasks[split]]
    work("digits", everything, make_block, Workers(jobs), stop)
    return {split: PackedCuts(cut for task in tasks[split] for cut in read_block(task)) for split in SPLITS}
