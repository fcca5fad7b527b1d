"""Blocks of the digits corpus on disk: a folder of FLAC files and their lhotse cuts, whole or absent."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import soundfile
from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource
from lhotse.supervision import AlignmentItem

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import remove_folder
from asrkd.core.task_monitor import TaskMonitor
from asrkd.data.corpora.digits.audio import render
from asrkd.data.corpora.digits.plan import Block, PlannedUtterance
from asrkd.data.corpora.digits.speaking import speak
from asrkd.data.corpora.digits.word_times import WordTime, word_times
from asrkd.data.cuts import manifests

CUTS = "cuts.jsonl"
_NUM_DECIMALS = 5  # decimals of word times in seconds: finer than a sample at 48 kHz


@dataclass(frozen=True)
class BlockTask:
    """Work item of a block: its plan, and the corpus folder ``out`` that it goes to."""

    out: Path
    block: Block
    sampling_rate: int

    @property
    def folder(self) -> Path:
        """Folder of the block's audio and manifest."""
        return self.out / "audio" / self.block.split / self.block.name

    @property
    def path(self) -> Path:
        """The folder, which identifies the block as a work item."""
        return self.folder

    @property
    def size(self) -> int:
        """Number of its utterances."""
        return len(self.block.utterances)

    def is_done(self) -> bool:
        """Return whether the folder exists; it is whole or absent."""
        return self.folder.exists()


def make_block(task: BlockTask, monitor: TaskMonitor) -> None:
    """Synthesize a block and write its folder; report it to ``monitor`` when it is whole.

    Raises:
        AsrkdError: espeak-ng fails, or the audio cannot be written.
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
    """Read the cuts of a finished block, with paths relative to the corpus folder.

    Raises:
        AsrkdError: the folder was written with other options.
    """
    cuts = manifests.read_cuts(task.folder / CUTS)
    written = [_written_utterance(cut) for cut in cuts]
    planned = [_planned_utterance(utterance, task.sampling_rate) for utterance in task.block.utterances]
    if written != planned:
        pairs = zip(written, planned, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        raise AsrkdError(
            f"{task.folder}: made with other options, from utterance {same} on; "
            f"remove it: {remove_folder(task.folder)}"
        )
    return [_relative(cut, task.out) for cut in cuts]


def make_cut(
    utterance: PlannedUtterance, times: list[WordTime], num_samples: int, sampling_rate: int
) -> MonoCut:
    """Make the cut of one utterance over its own recording, ``<id>.flac`` in the manifest's folder.

    Args:
        utterance: text, speaker and noise.
        times: times of its words, from the first spoken sample.
        num_samples: length of the recording, silence included.
        sampling_rate: sampling rate of the recording, in Hz.
    """
    duration = num_samples / sampling_rate
    recording = Recording(
        id=utterance.id,
        sources=[AudioSource(type="file", channels=[0], source=f"{utterance.id}.flac")],
        sampling_rate=sampling_rate,
        num_samples=num_samples,
        duration=duration,
    )
    supervision = SupervisionSegment(
        id=utterance.id,
        recording_id=utterance.id,
        start=0.0,
        duration=duration,
        text=utterance.text.upper(),
        language="en",
        speaker=utterance.speaker.id,
        custom=describe(utterance),
        alignment={"word": [_alignment(time, utterance.lead_s) for time in times]},
    )
    return MonoCut(utterance.id, 0.0, duration, 0, supervisions=[supervision], recording=recording)


def describe(utterance: PlannedUtterance) -> dict[str, object]:
    """Return the custom fields of an utterance in the manifest: its voice, rate, noise and levels."""
    return {
        "voice": f"{utterance.speaker.voice}+{utterance.speaker.variant}",
        "rate_wpm": utterance.rate,
        "noise": utterance.noise,
        "snr_db": utterance.snr_db,
        "gain_db": utterance.gain_db,
    }


def _alignment(time: WordTime, lead_s: float) -> AlignmentItem:
    start = round(lead_s + time.start_s, _NUM_DECIMALS)
    end = round(lead_s + time.end_s, _NUM_DECIMALS)
    return AlignmentItem(time.word.upper(), start, round(end - start, _NUM_DECIMALS))


def _planned_utterance(utterance: PlannedUtterance, sampling_rate: int) -> tuple[object, ...]:
    return utterance.id, utterance.text.upper(), describe(utterance), sampling_rate


def _written_utterance(cut: MonoCut) -> tuple[object, ...]:
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
    """Yield a folder to fill; rename it to ``folder`` if the block succeeds, and remove it if it raises.

    After a kill a ``*.partial`` remains, which no command reads. If another
    process was faster, its folder stays: both have the same contents.
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
