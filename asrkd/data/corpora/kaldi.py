"""Kaldi data directories: wav.scp, text, utt2spk, and optionally segments and utt2dur.

A folder of several such directories is one corpus. A split has the name of its
directory, with these exceptions: directories ``train*`` together are ``train``;
a single ``dev*`` or ``valid*`` is ``dev``, a single ``test*`` or ``eval*`` is
``test``.
"""

import re
from collections import Counter
from pathlib import Path

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora.utterances import CorpusUtterance, locate, seconds, standard_split
from asrkd.data.kaldi_files import Row, read_rows


def list_utterances(source: Path) -> list[CorpusUtterance]:
    """List the utterances of a data directory, or of all data directories in a folder.

    Raises:
        AsrkdError: no wav.scp, a command or archive in it, a line without two
            columns, or files that do not list the same utterances.
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
    standard = [standard_split(name) for name in names]
    count = Counter(standard)
    return [
        split if split is not None and (split == "train" or count[split] == 1) else name
        for name, split in zip(names, standard, strict=True)
    ]


def _list_folder(folder: Path, split: str) -> list[CorpusUtterance]:
    recordings = _mapping(folder / "wav.scp")
    audio = {key: _audio(row, folder) for key, row in recordings.items()}
    segmented = (folder / "segments").is_file()
    bounds = _mapping(folder / "segments") if segmented else recordings
    texts, speakers = _mapping(folder / "text", bounds), _mapping(folder / "utt2spk", bounds)
    durations = _mapping(folder / "utt2dur", bounds)
    utterances = []
    for utt_id, row in bounds.items():
        recording_id, start, duration = _segment(row) if segmented else (None, 0.0, None)
        if segmented and recording_id not in audio:
            raise AsrkdError(f"{row.where}: recording {recording_id!r} is not in {folder / 'wav.scp'}")
        if duration is None and utt_id in durations:
            duration = seconds(durations[utt_id].value, durations[utt_id].where, "duration")
        utterances.append(
            CorpusUtterance(
                id=utt_id,
                audio=audio[recording_id or utt_id],
                split=split,
                where=row.where,
                text=texts[utt_id].value if utt_id in texts else "",
                speaker=speakers[utt_id].value if utt_id in speakers else None,
                recording_id=recording_id,
                start=start,
                duration=duration,
            )
        )
    return utterances


def _mapping(path: Path, known: dict[str, Row] | None = None) -> dict[str, Row]:
    """Read rows by key; empty if an optional file, one with ``known`` keys, is absent."""
    rows: dict[str, Row] = {}
    if known is not None and not path.is_file():
        return rows
    for row in read_rows(path):
        if not row.key:
            raise AsrkdError(f"{row.where}: empty line; fix the folder with Kaldi's utils/fix_data_dir.sh")
        if row.key in rows:
            first = rows[row.key].where
            raise AsrkdError(f"{row.where}: duplicate id {row.key!r}, first at {first}; make the ids unique")
        if known is not None and row.key not in known:
            raise AsrkdError(
                f"{row.where}: utterance {row.key!r} has no audio in this folder; "
                "fix it with utils/fix_data_dir.sh"
            )
        rows[row.key] = row
    return rows


def _audio(row: Row, folder: Path) -> Path:
    value, where = row.value, row.where
    if value.endswith("|") or value.startswith("|"):
        raise AsrkdError(
            f"{where}: a command, which asrkd does not run; write its output to a file "
            "(the part before the |, with > file.wav) and put the file into wav.scp"
        )
    if re.search(r":\d+$", value):
        raise AsrkdError(f"{where}: an offset in an archive; unpack it with wav-copy, and list the files")
    if not value:
        raise AsrkdError(f"{where}: no path")
    return locate(value, folder)


def _segment(row: Row) -> tuple[str, float, float | None]:
    """Parse (recording id, start, duration) in seconds; an end of -1 is the end of the recording."""
    fields, where = row.fields(), row.where
    if len(fields) != 3:
        raise AsrkdError(f"{where}: expected 'utterance recording start end', found {row.value!r}")
    start, end = seconds(fields[1], where, "start"), seconds(fields[2], where, "end")
    return fields[0], start, None if end == -1 else round(end - start, 8)
