"""Blocks of the corpus on disk: a folder each, whole or absent."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import soundfile
from lhotse import MonoCut

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import remove_folder
from asrkd.core.task_monitor import TaskMonitor
from asrkd.data.corpora.digits.audio import render
from asrkd.data.corpora.digits.cuts import describe, make_cut
from asrkd.data.corpora.digits.plan import Block, PlannedUtterance
from asrkd.data.corpora.digits.speaking import speak
from asrkd.data.corpora.digits.word_times import word_times
from asrkd.data.cuts import manifests

CUTS = "cuts.jsonl"


@dataclass(frozen=True)
class BlockTask:
    """A block to be made below the corpus folder ``out``."""

    out: Path
    block: Block
    sampling_rate: int

    @property
    def folder(self) -> Path:
        """Where the block's audio and manifest are, once it is made."""
        return self.out / "audio" / self.block.split / self.block.name

    @property
    def path(self) -> Path:
        """The folder: what the block is known by where processes share the work."""
        return self.folder

    @property
    def size(self) -> int:
        """Number of its utterances."""
        return len(self.block.utterances)

    def is_done(self) -> bool:
        """Whether it is there; a folder is whole or absent."""
        return self.folder.exists()


def make_block(task: BlockTask, monitor: TaskMonitor) -> None:
    """Speak the block and write its folder; ``monitor`` hears of it when it is there.

    Raises:
        AsrkdError: espeak-ng cannot speak it, or the audio cannot be written.
    """
    utterances = task.block.utterances
    spoken = speak([utterance.request() for utterance in utterances])
    cuts: list[MonoCut] = []
    with _create_folder(task.folder) as partial:
        for utterance, speech in zip(utterances, spoken, strict=True):
            samples = render(utterance, speech.pcm, task.sampling_rate)
            path = partial / f"{utterance.id}.flac"
            try:
                soundfile.write(path, samples, task.sampling_rate, subtype="PCM_16", format="FLAC")
            except soundfile.LibsndfileError as error:
                raise AsrkdError(f"{path}: cannot be written: {error}") from None
            times = word_times(utterance.text, speech)
            cuts.append(make_cut(utterance, times, len(samples), task.sampling_rate))
        manifests.write_cuts(partial / CUTS, cuts)
    monitor.advance(len(cuts), sum(cut.duration for cut in cuts))


def read_block(task: BlockTask) -> list[MonoCut]:
    """The cuts of a block that was made, their paths relative to the corpus folder.

    Raises:
        AsrkdError: the folder holds something else than what ``task`` would make.
    """
    cuts = manifests.read_cuts(task.folder / CUTS)
    found = [_what_is_in(cut) for cut in cuts]
    asked = [_what_is_asked(utterance, task.sampling_rate) for utterance in task.block.utterances]
    if found != asked:
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(found, asked, strict=False)))
        raise AsrkdError(
            f"{task.folder}: made with other options, from utterance {same} on; "
            f"remove it: {remove_folder(task.folder)}"
        )
    return [_relative(cut, task.out) for cut in cuts]


def _what_is_asked(utterance: PlannedUtterance, sampling_rate: int) -> tuple[object, ...]:
    return utterance.id, utterance.text.upper(), describe(utterance), sampling_rate


def _what_is_in(cut: MonoCut) -> tuple[object, ...]:
    if cut.recording is None or len(cut.supervisions) != 1:
        return (cut.id,)
    supervision = cut.supervisions[0]
    return cut.id, supervision.text, supervision.custom, cut.sampling_rate


def _relative(cut: MonoCut, out: Path) -> MonoCut:
    sources = [
        replace(source, source=Path(source.source).relative_to(out).as_posix())
        for source in cut.recording.sources
    ]
    return replace(cut, recording=replace(cut.recording, sources=sources))


@contextmanager
def _create_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill; it becomes ``folder`` if the block succeeds and is removed if it raises.

    After a kill a ``*.partial`` remains, which nothing reads. If another
    process was quicker, its folder stays: both hold the same.
    """
    partial = files.partial_name(folder)
    partial.mkdir(parents=True)
    try:
        yield partial
        for path in partial.iterdir():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        files.fsync_folder(partial)
        if not folder.exists():
            partial.replace(folder)
            files.fsync_folder(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
