"""LibriSpeech, unpacked: ``<subset>/<speaker>/<chapter>/<speaker>-<chapter>-<n>.flac``.

Source: https://www.openslr.org/12 (and 31 for the mini subsets). The train
subsets together are the split ``train``; the clean dev and test subsets are
``dev`` and ``test``, the others ``dev_other`` and ``test_other``. Texts stay in
upper case, as in the corpus.
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
    """List the utterances of the subsets in ``source`` (or in its folder ``LibriSpeech``).

    Args:
        source: the unpacked corpus.
        subsets: names of subsets; if empty, all that are present.

    Raises:
        AsrkdError: no subset is present, or one of ``subsets`` is missing.
    """
    root = source / "LibriSpeech" if (source / "LibriSpeech").is_dir() else source
    present = [name for name in SPLIT_OF if (root / name).is_dir()]
    if not present:
        raise AsrkdError(f"{root}: holds none of {', '.join(SPLIT_OF)}; expected an unpacked LibriSpeech")
    absent = [name for name in subsets if name not in present]
    if absent:
        raise AsrkdError(f"{root}: no subset {absent[0]!r}, found {', '.join(present)}")
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
    """List the lines of a chapter's transcript, then the audio files without a line."""
    speaker = chapter.parent.name
    transcript = chapter / f"{speaker}-{chapter.name}.trans.txt"
    utterances: dict[str, CorpusUtterance] = {}
    for number, line in files.read_lines(transcript) if transcript.is_file() else []:
        utt_id, _, text = line.partition(" ")
        if utt_id in utterances or not utt_id:
            raise AsrkdError(f"{transcript}:{number}: duplicate or empty utterance id {utt_id!r}")
        audio = Path(os.path.abspath(chapter / f"{utt_id}.flac"))
        where = f"{transcript}:{number}"
        utterances[utt_id] = CorpusUtterance(utt_id, audio, split, where, text.strip(), speaker)
    for audio in sorted(chapter.glob("*.flac")):
        if audio.stem not in utterances:
            utterances[audio.stem] = CorpusUtterance(
                audio.stem, Path(os.path.abspath(audio)), split, str(audio), "", speaker
            )
    return list(utterances.values())
