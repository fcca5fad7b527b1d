"""Corpora in lhotse manifests: cuts, or recordings and supervisions.

A folder holds ``*cuts_<split>.jsonl[.gz]``, or pairs whose names differ by the
words ``recordings`` and ``supervisions``; a single manifest of cuts is a corpus
too. Paths are relative to the manifest, or else to the working directory.
Features and stored arrays of the cuts are dropped; `asrkd prepare` computes new features.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.array import Array, TemporalArray

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora.recordings import with_source, with_true_length
from asrkd.data.corpora.utterances import check_split_length, locate, standard_split
from asrkd.data.cuts import manifests
from asrkd.data.cuts.packed import PackedCuts

Item = TypeVar("Item", Recording, SupervisionSegment)

ONE_MS = 0.001

_CUTS = re.compile(r"(?:.*[_-])?cuts[_-](.+)\.jsonl(?:\.gz)?")
_RECORDINGS = re.compile(r"(?:.*_)?recordings[_-](.+)\.jsonl(?:\.gz)?")


def list_manifests(source: Path) -> list[tuple[str, tuple[Path, ...]]]:
    """List (split, manifests) of a corpus: one manifest of cuts, or recordings and supervisions.

    Raises:
        AsrkdError: no manifests, or recordings without supervisions.
    """
    if source.is_file():
        match = _CUTS.fullmatch(source.name)
        stem = match[1] if match else source.name.split(".")[0]
        return [(standard_split(stem) or stem, (source,))]
    names = sorted(path.name for path in source.iterdir())
    listed: list[tuple[str, tuple[Path, ...]]] = []
    listed += [(m[1], (source / m[0],)) for m in map(_CUTS.fullmatch, names) if m]
    if not listed:
        listed += [(m[1], _pair(source / m[0])) for m in map(_RECORDINGS.fullmatch, names) if m]
    if not listed:
        raise AsrkdError(f"{source}: no cuts_<split>.jsonl.gz there, nor recordings and supervisions")
    splits = [split for split, _ in listed]
    if len(set(splits)) < len(splits):
        raise AsrkdError(f"{source}: two manifests for one split among {', '.join(splits)}; give one of them")
    return listed


def read_splits(listed: Sequence[tuple[str, tuple[Path, ...]]]) -> dict[str, PackedCuts]:
    """Read cuts by split, each with one supervision and absolute audio paths.

    Raises:
        AsrkdError: a torn line, an id in two splits, audio outside of files, or
            a cut with several supervisions.
    """
    splits: dict[str, PackedCuts] = {}
    home: dict[str, Path] = {}
    for split, paths in listed:
        check_split_length(split, paths[0])
        cuts = _read_cuts(paths[0]) if len(paths) == 1 else _join(*paths)
        for cut in cuts.records:
            if home.setdefault(cut.id, paths[0]) != paths[0]:
                raise AsrkdError(f"{paths[0]}: cut {cut.id!r} is in {home[cut.id]} too; make the ids unique")
        splits[split] = cuts
    return splits


def _pair(recordings: Path) -> tuple[Path, Path]:
    supervisions = recordings.with_name(recordings.name.replace("recordings", "supervisions"))
    if not supervisions.is_file():
        raise AsrkdError(f"{recordings}: no {supervisions.name} beside it")
    return recordings, supervisions


def _read_cuts(path: Path) -> PackedCuts:
    """Read cuts as ``manifests.read_cuts`` does, with paths tried in the working directory too."""
    cuts = PackedCuts()
    lengths: dict[tuple[str, int], int] = {}  # of recordings, by file and declared length
    for cut in manifests.read_cuts(path):
        if cut.recording is None:
            raise AsrkdError(f"{path}: cut {cut.id!r} has no recording; give a manifest made from audio")
        if len(cut.supervisions) > 1:
            raise AsrkdError(
                f"{path}: cut {cut.id!r} has {len(cut.supervisions)} supervisions, expected one; "
                "cut it up first with: lhotse cut trim-to-supervisions"
            )
        supervisions = cut.supervisions or [
            SupervisionSegment(id=cut.id, recording_id=cut.recording_id, start=0.0, duration=cut.duration)
        ]
        custom = {k: v for k, v in (cut.custom or {}).items() if not isinstance(v, (Array, TemporalArray))}
        located = _locate(cut.recording, path)
        name = str(located.sources[0].source), located.num_samples
        if name not in lengths:
            lengths[name] = with_true_length(located).num_samples
        cut = replace(cut, recording=located, supervisions=supervisions, features=None, custom=custom or None)
        cuts.append(_with_length(cut, located, lengths[name]))
    return cuts


def _with_length(cut: MonoCut, recording: Recording, num_samples: int) -> MonoCut:
    """Return the cut with a recording of ``num_samples``; a cut of the whole recording stays one."""
    if num_samples == recording.num_samples:
        return cut
    duration, recording_duration = num_samples / recording.sampling_rate, recording.duration
    recording = replace(recording, num_samples=num_samples, duration=duration)
    if cut.start or abs(cut.duration - recording_duration) > ONE_MS:
        return replace(cut, recording=recording)
    supervisions = [
        replace(each, duration=duration) if abs(each.duration - cut.duration) <= ONE_MS else each
        for each in cut.supervisions
    ]
    return replace(cut, recording=recording, duration=duration, supervisions=supervisions)


def _join(recordings_path: Path, supervisions_path: Path) -> PackedCuts:
    """Make a cut of each supervision, with its id."""
    recordings = {item.id: _locate(item, recordings_path) for item in _items(recordings_path, Recording)}
    lengths = {key: with_true_length(item).num_samples for key, item in recordings.items()}
    cuts: dict[str, MonoCut] = {}
    for item in _items(supervisions_path, SupervisionSegment):
        where = f"{supervisions_path}: supervision {item.id!r}"
        if item.recording_id not in recordings:
            raise AsrkdError(f"{where}: its recording {item.recording_id!r} is not in {recordings_path}")
        if item.id in cuts:
            raise AsrkdError(f"{where} is a duplicate; make the ids unique")
        if not isinstance(item.channel, int):
            raise AsrkdError(f"{where}: channels {item.channel}, expected one")
        cut = MonoCut(
            id=item.id,
            start=item.start,
            duration=item.duration,
            channel=item.channel,
            supervisions=[replace(item, start=0.0)],
            recording=recordings[item.recording_id],
        )
        cuts[item.id] = _with_length(cut, recordings[item.recording_id], lengths[item.recording_id])
    if not cuts:
        raise AsrkdError(f"{supervisions_path}: holds no supervisions")
    return PackedCuts(cuts.values())


def _items(path: Path, kind: type[Item]) -> list[Item]:
    return [item for _, item in manifests.read_items(path, kind, kind.__name__)]


def _locate(recording: Recording, manifest: Path) -> Recording:
    """Return the recording with an absolute path to its one audio file."""
    where = f"{manifest}: recording {recording.id!r}"
    if len(recording.sources) != 1:
        raise AsrkdError(f"{where} has {len(recording.sources)} sources, expected one")
    (source,) = recording.sources
    if source.type != "file":
        raise AsrkdError(
            f"{where} is a {source.type}, expected a file; write files with lhotse's CutSet.save_audios"
        )
    name = str(source.source)
    if Path(name).is_relative_to(manifest.parent):  # manifests.read_cuts resolved it
        name = str(Path(name).relative_to(manifest.parent))
    return with_source(recording, str(locate(name, manifest.parent)))
