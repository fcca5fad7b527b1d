"""What a corpus says it holds, before any audio is opened.

Readers of text formats make a list of :class:`CorpusUtterance`; it is cheap, so a
finished folder can be recognized by its digest without reading audio.
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
    """A line of a corpus: who said what, where, by the corpus's own account."""

    id: str
    audio: Path
    split: str
    where: str  # file:line that says so, for messages
    text: str = ""
    speaker: str | None = None
    recording_id: str | None = None  # None: the utterance is a recording of its own
    start: float = 0.0  # seconds into the recording
    duration: float | None = None  # seconds; None: to the end of the recording


def check_utterances(utterances: Sequence[CorpusUtterance], source: Path) -> None:
    """Refuse what no quarantine can mend.

    Raises:
        AsrkdError: there are none, an id comes twice, or a split cannot be a file's name.
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
                f"{utterance.where}: utterance {utterance.id!r} comes twice, first at {other.where}; "
                "give each its own id"
            )


def listing_digest(utterances: Iterable[CorpusUtterance], source: Path) -> str:
    """Hex digest of the list and of the sizes of the audio files, the same wherever ``source`` lies.

    It is cheap, and moved by any edit of the list, and of audio by those that change its size.
    """
    sizes: dict[Path, int] = {}
    rows = []
    for item in utterances:
        if item.audio not in sizes:
            sizes[item.audio] = _size(item.audio)
        place = [item.recording_id, item.start, item.duration]
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
    """The number of seconds in a field.

    Args:
        text: of the field.
        where: file and line, for the error.
        column: what the field is called, for the error.

    Raises:
        AsrkdError: it is no finite number: nan, inf, 1_0 and digits of other scripts are numbers to Python
            and no times.
    """
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise AsrkdError(f"{where}: {column} {text!r}: expected seconds")
    return value


def _size(path: Path) -> int:
    """Bytes of a file; -1 if there is none of that name, or can be none."""
    try:
        return path.stat().st_size if path.is_file() else -1
    except OSError:
        return -1


def locate(name: str, folder: Path) -> Path:
    """The file that a corpus calls ``name``: absolute, beside the list, or from the working directory.

    Kaldi and lhotse take relative names from the working directory, everybody
    else from the list's folder, which therefore comes first.
    """
    path = Path(name)
    beside = folder / path
    if not path.is_absolute() and not beside.exists() and path.exists():
        return Path(os.path.abspath(path))  # without the ".." that source may have
    return Path(os.path.abspath(beside))


def usual_split(name: str) -> str | None:
    """'train', 'dev' or 'test' where ``name`` begins like one of them, else None."""
    names = {"train": "train", "dev": "dev", "valid": "dev", "test": "test", "eval": "test"}
    return next((split for start, split in names.items() if name.lower().startswith(start)), None)


def check_split_length(split: str, where: str | Path) -> None:
    """Raise AsrkdError if manifests and folders cannot be named after a split; ``where`` it was named so."""
    if len(split.encode("utf-8", "surrogateescape")) > MAX_BYTES:
        raise AsrkdError(
            f"{where}: split {split[:20]!r}...: a name of more than {MAX_BYTES} bytes; rename it"
        )
