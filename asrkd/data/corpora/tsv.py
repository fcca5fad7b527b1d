"""Corpora in a tab-separated table: a header line, then a line per utterance.

Columns ``utt_id`` and ``audio`` are required; ``text``, ``speaker``, ``split``,
``duration`` (seconds), ``parts`` (ids of the recordings that the audio was
joined from, between commas) and ``segments`` (``start-end`` of each word in
seconds, between commas) are optional, and others are ignored with a warning.
Audio paths are relative to the table. Without a column ``split``, the split is
that of the file name (``train.tsv``), or else ``test``: its transcripts are
compared with and never trained on.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from asrkd.core import files
from asrkd.core.errors import AsrkdError, did_you_mean, warn
from asrkd.data.corpora.utterances import CorpusUtterance, locate, seconds, standard_split

DEFAULT_NAME = "transcripts.tsv"
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]*)?)-([0-9]+(?:\.[0-9]*)?)")  # start and end of a word, in seconds
_REQUIRED = ("utt_id", "audio")
_OPTIONAL = ("text", "speaker", "split", "duration", "parts", "segments")


def table_path(source: Path) -> Path:
    """Return the table of a corpus: ``source``, or ``transcripts.tsv`` in the folder ``source``."""
    return source / DEFAULT_NAME if source.is_dir() else source


def list_utterances(source: Path, *, needs_text: bool = False) -> list[CorpusUtterance]:
    """List the utterances of a table, or of ``transcripts.tsv`` in a folder; warn of ignored columns.

    Args:
        source: table, or folder of the table.
        needs_text: whether a table without a column of transcripts is an error.

    Raises:
        AsrkdError: no such file, a missing column, or a line with more or
            fewer fields than the header.
    """
    path = table_path(source)
    lines = [(number, line) for number, line in files.read_lines(path) if line.strip()]
    if not lines:
        raise AsrkdError(f"{path}: empty; expected a header line with {', '.join(_REQUIRED)}")
    columns = lines[0][1].split("\t")
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise AsrkdError(f"{path}:1: no column {missing[0]!r}, found {', '.join(columns)} (tab-separated?)")
    _warn_of_ignored(path, columns)
    if needs_text and "text" not in columns:
        raise AsrkdError(
            f"{path}: has no column text (its columns: {', '.join(columns)}); name the column of the "
            "transcripts text; for a corpus without transcripts, add --untranscribed"
        )
    return [_utterance(path, number, line, columns) for number, line in lines[1:]]


def _warn_of_ignored(path: Path, columns: Sequence[str]) -> None:
    """Warn of columns without a use, and list the optional columns that the table lacks."""
    ignored = [name for name in columns if name not in (*_REQUIRED, *_OPTIONAL)]
    if not ignored:
        return
    absent = [name for name in _OPTIONAL if name not in columns]
    near = {name: did_you_mean(name.lower(), absent).removeprefix("; ") for name in ignored}
    names = ", ".join(f"{name} ({hint})" if hint else name for name, hint in near.items())
    lacks = f"; optional columns that it lacks: {', '.join(absent)}" if absent else ""
    warn(f"{path}: ignored columns: {names}{lacks}")


def _utterance(path: Path, number: int, line: str, columns: list[str]) -> CorpusUtterance:
    fields = line.split("\t")
    where = f"{path}:{number}"
    if len(fields) != len(columns):
        raise AsrkdError(f"{where}: {len(fields)} tab-separated fields, the header has {len(columns)}")
    row = dict(zip(columns, fields, strict=True))
    empty = [name for name in (*_REQUIRED, "split") if row.get(name, "x").strip() == ""]
    if empty:
        raise AsrkdError(f"{where}: {empty[0]} is empty")
    return CorpusUtterance(
        id=row["utt_id"],
        audio=locate(row["audio"], path.parent),
        split=row.get("split") or standard_split(path.stem) or "test",
        where=where,
        text=row.get("text", ""),
        speaker=row.get("speaker") or None,
        duration=seconds(row["duration"], where, "duration") if row.get("duration") else None,
        parts=_parts(row.get("parts", ""), where),
        word_times=_word_times(row.get("segments", ""), row.get("text", ""), where),
    )


def _parts(text: str, where: str) -> tuple[str, ...]:
    """Parse the ids of the recordings that an utterance was joined from; none if the field is empty."""
    if not text.strip():
        return ()
    parts = tuple(part.strip() for part in text.split(","))
    if "" in parts:
        raise AsrkdError(
            f"{where}: parts {text!r}: expected ids of recordings with single commas between them"
        )
    return parts


def _word_times(field: str, text: str, where: str) -> tuple[tuple[float, float], ...]:
    """Parse start and end of each word of a text, in seconds; none if the field or the text is empty."""
    if not field.strip() or not text.strip():
        return ()
    times: list[tuple[float, float]] = []
    for span in field.split(","):
        match = _SPAN.fullmatch(span.strip())
        if match is None:
            raise AsrkdError(
                f"{where}: segments: {span!r}: expected start-end in seconds, such as 0.199-0.664"
            )
        start, end = float(match[1]), float(match[2])
        if not start < end:
            raise AsrkdError(f"{where}: segments: {span!r}: ends before it starts")
        if times and start < times[-1][0]:
            raise AsrkdError(f"{where}: segments: {span!r}: starts before the word before it")
        times.append((start, end))
    if len(times) != len(words := text.split()):
        raise AsrkdError(
            f"{where}: {len(times)} segments, but the text has {len(words)} words; expected one for each word"
        )
    return tuple(times)
