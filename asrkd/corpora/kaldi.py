"""Kaldi data directories: wav.scp, text, utt2spk, and optionally segments and utt2dur.

A folder of several such directories is one corpus. A split is named after
its directory: everything that begins with ``train`` is ``train``; the only
one that begins with ``dev`` or ``valid`` (``test`` or ``eval``) is ``dev``
(``test``); where there are several they keep their own names.
"""

import re
from collections import Counter
from pathlib import Path

from asrkd import files
from asrkd.corpora.utterances import Utterance, locate, usual_split
from asrkd.errors import AsrkdError


def list_utterances(source: Path) -> list[Utterance]:
    """Every utterance of a data directory, or of those inside a folder.

    Raises:
        AsrkdError: no wav.scp, a command or archive in it, a line that is
            not two columns, or lists that do not name the same utterances.
    """
    folders = [source] if (source / "wav.scp").is_file() else _folders_in(source)
    if not folders:
        raise AsrkdError(f"{source}: no wav.scp in it or in its folders; expected a Kaldi data directory")
    splits = _split_names([folder.absolute().name for folder in folders])
    pairs = zip(folders, splits, strict=True)
    return [utterance for folder, split in pairs for utterance in _list_folder(folder, split)]


def _folders_in(source: Path) -> list[Path]:
    return sorted(path.parent for path in source.glob("*/wav.scp"))


def _split_names(names: list[str]) -> list[str]:
    usual = [usual_split(name) for name in names]
    count = Counter(usual)
    return [
        split if split is not None and (split == "train" or count[split] == 1) else name
        for name, split in zip(names, usual, strict=True)
    ]


def _list_folder(folder: Path, split: str) -> list[Utterance]:
    recordings = _mapping(folder / "wav.scp")
    audio = {key: _audio(value, folder, where) for key, (value, where) in recordings.items()}
    segmented = (folder / "segments").is_file()
    bounds = _mapping(folder / "segments") if segmented else recordings
    texts, speakers = _mapping(folder / "text", bounds), _mapping(folder / "utt2spk", bounds)
    durations = _mapping(folder / "utt2dur", bounds)
    utterances = []
    for utt_id, (value, where) in bounds.items():
        recording_id, start, duration = _segment(value, where) if segmented else (None, 0.0, None)
        if segmented and recording_id not in audio:
            raise AsrkdError(f"{where}: recording {recording_id!r} is not in {folder / 'wav.scp'}")
        if duration is None and utt_id in durations:
            duration = _number(*durations[utt_id])
        utterances.append(
            Utterance(
                id=utt_id,
                audio=audio[recording_id or utt_id],
                split=split,
                where=where,
                text=texts.get(utt_id, ("", ""))[0],
                speaker=speakers.get(utt_id, (None, ""))[0],
                recording_id=recording_id,
                start=start,
                duration=duration,
            )
        )
    return utterances


def _mapping(path: Path, known: dict[str, tuple[str, str]] | None = None) -> dict[str, tuple[str, str]]:
    """(value, file:line) by key; empty where an optional file, one with ``known`` keys, is absent."""
    rows: dict[str, tuple[str, str]] = {}
    if known is not None and not path.is_file():
        return rows
    for number, line in files.read_lines(path):
        key, _, value = line.strip().partition(" ")
        where = f"{path}:{number}"
        if not key:
            raise AsrkdError(f"{where}: empty line; mend the folder with Kaldi's utils/fix_data_dir.sh")
        if key in rows:
            raise AsrkdError(f"{where}: {key!r} comes twice, first at {rows[key][1]}; give each its own id")
        if known is not None and key not in known:
            raise AsrkdError(
                f"{where}: utterance {key!r} has no audio in this folder; mend it with utils/fix_data_dir.sh"
            )
        rows[key] = (value.strip(), where)
    return rows


def _audio(value: str, folder: Path, where: str) -> Path:
    if value.endswith("|") or value.startswith("|"):
        raise AsrkdError(
            f"{where}: a command, which asrkd does not run; write its output to a file "
            "(its part before the |, with > file.wav) and name the file in wav.scp"
        )
    if re.search(r":\d+$", value):
        raise AsrkdError(f"{where}: a place in an archive; unpack it with wav-copy and name the files")
    if not value:
        raise AsrkdError(f"{where}: no path")
    return locate(value, folder)


def _segment(value: str, where: str) -> tuple[str, float, float | None]:
    """(recording id, start, duration) in seconds; an end of -1 is that of the recording."""
    fields = value.split()
    if len(fields) != 3:
        raise AsrkdError(f"{where}: expected 'utterance recording start end', found {value!r}")
    start, end = _number(fields[1], where), _number(fields[2], where)
    return fields[0], start, None if end == -1 else round(end - start, 8)


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise AsrkdError(f"{where}: {text!r}: expected seconds") from None
