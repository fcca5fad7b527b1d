"""LibriSpeech as it is unpacked: ``<subset>/<speaker>/<chapter>/<speaker>-<chapter>-<n>.flac``.

Source: https://www.openslr.org/12 (and 31 for the mini subsets). Any subset
that is there is taken: the train subsets together are ``train``, the clean
ones of the others ``dev`` and ``test``, the rest ``dev_other`` and
``test_other``. Texts stay in capitals, as they are given.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.data.corpora.utterances import CorpusUtterance

SPLIT_OF = {
    "train-clean-5": "train",
    "train-clean-100": "train",
    "train-clean-360": "train",
    "train-other-500": "train",
    "dev-clean-2": "dev",
    "dev-clean": "dev",
    "dev-other": "dev_other",
    "test-clean": "test",
    "test-other": "test_other",
}


def list_utterances(source: Path, subsets: Sequence[str] = ()) -> list[CorpusUtterance]:
    """Every utterance of the subsets under ``source`` (or its ``LibriSpeech`` folder).

    Args:
        source: the unpacked corpus.
        subsets: which to take; empty takes every one that is there.

    Raises:
        AsrkdError: there is none, or one that was asked for is not there.
    """
    root = source / "LibriSpeech" if (source / "LibriSpeech").is_dir() else source
    present = [name for name in SPLIT_OF if (root / name).is_dir()]
    if not present:
        raise AsrkdError(f"{root}: holds none of {', '.join(SPLIT_OF)}; expected an unpacked LibriSpeech")
    absent = [name for name in subsets if name not in present]
    if absent:
        raise AsrkdError(f"{root}: no subset {absent[0]!r}, there is {', '.join(present)}")
    chosen = [name for name in present if name in subsets or not subsets]
    return [utterance for name in chosen for utterance in _list_subset(root / name)]


def _list_subset(folder: Path) -> list[CorpusUtterance]:
    split = SPLIT_OF[folder.name]
    return [
        utterance
        for chapter in sorted(folder.glob("*/*"))
        if chapter.is_dir()
        for utterance in _list_chapter(chapter, split)
    ]


def _list_chapter(chapter: Path, split: str) -> list[CorpusUtterance]:
    """The lines of a chapter's transcript, then the audio that it does not mention."""
    speaker = chapter.parent.name
    transcript = chapter / f"{speaker}-{chapter.name}.trans.txt"
    found: dict[str, CorpusUtterance] = {}
    for number, line in files.read_lines(transcript) if transcript.is_file() else []:
        utt_id, _, text = line.partition(" ")
        if utt_id in found or not utt_id:
            raise AsrkdError(f"{transcript}:{number}: utterance {utt_id!r} comes twice, or has no id")
        audio = Path(os.path.abspath(chapter / f"{utt_id}.flac"))
        where = f"{transcript}:{number}"
        found[utt_id] = CorpusUtterance(utt_id, audio, split, where, text.strip(), speaker)
    for audio in sorted(chapter.glob("*.flac")):
        if audio.stem not in found:
            found[audio.stem] = CorpusUtterance(
                audio.stem, Path(os.path.abspath(audio)), split, str(audio), "", speaker
            )
    return list(found.values())
