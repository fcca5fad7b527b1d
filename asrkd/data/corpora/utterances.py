"""Utterances of a corpus as its files list them, before any audio is opened.

Readers of text formats return a list of :class:`CorpusUtterance`. Its digest
identifies the corpus of a finished folder without reading audio.
"""

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.file_names import MAX_BYTES

_SPLIT_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class CorpusUtterance:
    """Utterance of a corpus: audio, text, speaker and times, as its files list them."""

    id: str
    audio: Path
    split: str
    where: str  # file:line of the listing, for messages
    text: str = ""
    speaker: str | None = None
    recording_id: str | None = None  # None: the utterance is a whole recording
    start: float = 0.0  # seconds into the recording
    duration: float | None = None  # seconds; None: to the end of the recording
    parts: tuple[str, ...] = ()  # ids of the recordings that it was joined from, if it was
    word_times: tuple[tuple[float, float], ...] = ()  # start and end of each word of the text, in seconds


def check_utterances(utterances: Sequence[CorpusUtterance], source: Path) -> None:
    """Check a listing for errors that concern more than one item.

    Raises:
        AsrkdError: no utterances, a duplicate id, or a split that is not a valid file name.
    """
    if not utterances:
        raise AsrkdError(f"{source}: holds no utterances")
    first: dict[str, CorpusUtterance] = {}
    for utterance in utterances:
        if not _SPLIT_NAME.fullmatch(utterance.split):
            raise AsrkdError(
                f"{utterance.where}: split {utterance.split!r}: expected letters, digits, '_', '-' and '.'"
            )
        check_split_length(utterance.split, utterance.where)
        other = first.setdefault(utterance.id, utterance)
        if other is not utterance:
            raise AsrkdError(
                f"{utterance.where}: duplicate utterance id {utterance.id!r}, first at {other.where}; "
                "make the ids unique"
            )


def listing_digest(
    utterances: Iterable[CorpusUtterance], source: Path, *, with_word_times: bool = True
) -> str:
    """Return the hex digest of a listing and of the sizes of its audio files, wherever ``source`` is.

    The digest changes with every edit of the listing, and with edits of audio that change its size.

    Args:
        utterances: the listing.
        source: folder or file of the corpus.
        with_word_times: whether the times of words are part of it, as they were not in older folders.
    """
    sizes: dict[Path, int] = {}
    rows = []
    for item in utterances:
        if item.audio not in sizes:
            sizes[item.audio] = _size(item.audio)
        place: list[object] = [item.recording_id, item.start, item.duration]
        if item.parts:
            place.append(list(item.parts))
        if item.word_times and with_word_times:
            place.append({"word_times": item.word_times})
        rows.append(
            [
                item.id,
                os.path.relpath(item.audio, source),
                sizes[item.audio],
                item.split,
                item.text,
                item.speaker,
                place,
            ]
        )
    return files.sha256_of(rows)


def seconds(text: str, where: str, column: str) -> float:
    """Parse a field with a number of seconds.

    Args:
        text: contents of the field.
        where: file and line, for messages.
        column: name of the field, for messages.

    Raises:
        AsrkdError: not a finite number. Python's nan, inf, 1_0 and digits of other scripts are refused.
    """
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise AsrkdError(f"{where}: {column} {text!r}: expected seconds")
    return value


def _size(path: Path) -> int:
    """Return the size of a file in bytes; -1 if it does not exist or the name is invalid."""
    try:
        return path.stat().st_size if path.is_file() else -1
    except OSError:
        return -1


def locate(name: str, folder: Path) -> Path:
    """Return the path of a file that a listing calls ``name``.

    A relative name is taken from the folder of the listing, or else from the
    working directory, as Kaldi and lhotse do.
    """
    path = Path(name)
    beside = folder / path
    if not path.is_absolute() and not beside.exists() and path.exists():
        return Path(os.path.abspath(path))  # without the ".." of the source
    return Path(os.path.abspath(beside))


def standard_split(name: str) -> str | None:
    """Return 'train', 'dev' or 'test' if ``name`` begins like one of them, else None."""
    names = {"train": "train", "dev": "dev", "valid": "dev", "test": "test", "eval": "test"}
    return next((split for start, split in names.items() if name.lower().startswith(start)), None)


def check_split_length(split: str, where: str | Path) -> None:
    """Raise AsrkdError if a split is too long for a file name; ``where`` is its place in the listing."""
    if len(split.encode("utf-8", "surrogateescape")) > MAX_BYTES:
        raise AsrkdError(
            f"{where}: split {split[:20]!r}...: a name of more than {MAX_BYTES} bytes; shorten it"
        )
