"""Transcript files in three formats, gzipped or not, with each utterance once.

====================  ==============================  =================================
format                a line                          recognized by
====================  ==============================  =================================
JSON lines            ``{"id": "a-1", "text": ...}``  ``.jsonl``, ``.json``, or ``{``
trn, of sclite        ``words (speaker-utterance)``   ``.trn``; every line ends in an id
text, of Kaldi        ``a-1 words``                   the name ``text``, or otherwise
====================  ==============================  =================================

In a trn the id is the content of the last brackets. Its speaker, as in sclite's ``spu_id``, is the part
before the first ``-`` or, if there is none, before the first ``_``. A line with only an id is an utterance
without words.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.data.kaldi_files import read_rows, split_row

TRN_LINE = re.compile(r"(?P<words>.*?)\s*\((?P<id>[^()\s]+)\)\s*")
# In sclite { a / b } are alternatives, and a lone @ is no word.
TRN_ALTERNATIVES = re.compile(r"\{|(?<!\S)@(?!\S)")

Line = tuple[int, str]  # number, from 1, and text


@dataclass(frozen=True)
class Transcripts:
    """Texts by utterance id, not normalized, and the speakers named by the ids."""

    path: Path
    texts: dict[str, str]
    speakers: dict[str, str]  # speakers of a trn; empty for other formats


def read_transcripts(path: Path) -> Transcripts:
    """Read a transcript file of any format.

    Raises:
        AsrkdError: no such file, no utterances, or a line that is malformed, not UTF-8 or has a duplicate id.
    """
    lines = [(number, line) for number, line in files.read_lines(path) if line.strip()]
    parse = _parser(path, lines)
    texts: dict[str, str] = {}
    first: dict[str, int] = {}
    for number, line in lines:
        if parse is _trn and line.startswith(";;"):
            continue  # a comment
        utt_id, text = parse(f"{path}:{number}", line)
        if utt_id in texts:
            raise AsrkdError(
                f"{path}:{number}: duplicate utterance id {utt_id!r}, also in line {first[utt_id]}; remove it"
            )
        texts[utt_id], first[utt_id] = text, number
    if not texts:
        raise AsrkdError(f"{path}: no transcripts; expected Kaldi's text, sclite's trn or JSON lines")
    speakers = {utt_id: _speaker(utt_id) for utt_id in texts} if parse is _trn else {}
    return Transcripts(path, texts, {utt_id: name for utt_id, name in speakers.items() if name})


def read_speakers(path: Path) -> dict[str, str]:
    """Read Kaldi's ``utt2spk``: speakers by utterance id. Empty lines are ignored.

    Raises:
        AsrkdError: no such file, a line that is not an id and a speaker, or a duplicate id.
    """
    speakers: dict[str, str] = {}
    for row in read_rows(path):
        if not row.key:
            continue
        if len(row.fields()) != 1:
            line = f"{row.key} {row.value}"
            raise AsrkdError(f"{row.where}: expected an utterance and its speaker, found {line[:40]!r}")
        if row.key in speakers:
            raise AsrkdError(f"{row.where}: duplicate utterance id {row.key!r}; remove one")
        speakers[row.key] = row.value
    return speakers


def _parser(path: Path, lines: Sequence[Line]) -> Callable[[str, str], tuple[str, str]]:
    """Choose the parser of the lines of a file by its name or contents."""
    name = path.name.removesuffix(".gz")
    for suffix, parse in ((".trn", _trn), (".jsonl", _json), (".json", _json)):
        if name.endswith(suffix):
            return parse
    if name == "text" or not lines:
        return _kaldi
    if lines[0][1].lstrip().startswith("{"):
        return _json
    return _trn if all(TRN_LINE.fullmatch(line) for _, line in lines) else _kaldi


def _json(where: str, line: str) -> tuple[str, str]:
    try:
        row = files.parse_json(line)
    except ValueError as error:
        raise AsrkdError(f"{where}: torn or not JSON ({error})") from None
    utt_id, text = (row.get("id"), row.get("text")) if isinstance(row, dict) else (None, None)
    if not isinstance(utt_id, str) or not utt_id or not isinstance(text, str):
        raise AsrkdError(f'{where}: expected {{"id": "...", "text": "..."}}, found {line[:60]!r}')
    return utt_id, text


def _trn(where: str, line: str) -> tuple[str, str]:
    match = TRN_LINE.fullmatch(line)
    if not match:
        raise AsrkdError(
            f"{where}: expected words and (speaker-utterance) as in sclite's trn, found {line[-60:]!r}"
        )
    if TRN_ALTERNATIVES.search(match["words"]):
        raise AsrkdError(f"{where}: sclite's {{ a / b }} and @ are not supported here; write one text")
    return match["id"], match["words"]


def _kaldi(_where: str, line: str) -> tuple[str, str]:
    return split_row(line)


def _speaker(label: str) -> str:
    """Return the speaker of an id as in sclite; empty if it names none."""
    for mark in "-_":
        speaker, separator, _ = label.partition(mark)
        if separator:
            return speaker
    return ""
