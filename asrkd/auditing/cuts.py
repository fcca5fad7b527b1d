"""Cut manifests, streamed: a million cuts are looked over in one pass and in little memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lhotse import MonoCut
from lhotse.serialization import deserialize_item

from asrkd import files
from asrkd.auditing.findings import Findings
from asrkd.corpora.recordings import BadAudio, audio_sha256, decode
from asrkd.errors import AsrkdError
from asrkd.features.reading import load_features
from asrkd.manifests import resolve
from asrkd.targets.cut_records import CutRecord, parse_record


def stream_records(path: Path) -> Iterator[tuple[int, CutRecord, dict[str, Any]]]:
    """(line number, what identifies the cut, its JSON) of a manifest.

    Raises:
        AsrkdError: no such file, a torn line, or one that is not a cut of one channel.
    """
    for number, record in files.read_jsonl(path):
        yield number, parse_record(path, number, record), record


def audit_cuts(path: Path, findings: Findings, *, deep: bool) -> None:
    """Look over a manifest: every line is a cut, no id twice, the files named are there.

    Args:
        path: the manifest.
        findings: what is found goes here.
        deep: decode the audio, compare its hash with the one taken at prepare, and load the features.
    """
    seen: set[str] = set()
    present: dict[str, bool] = {}
    with findings.looking(path):
        for number, cut, record in stream_records(path):
            if cut.id in seen:
                findings.wrong(f"{path}:{number}: cut {cut.id!r} comes twice", kind="ids that come twice")
            seen.add(cut.id)
            _audit_files(path, number, record, present, findings)
            if deep:
                _audit_contents(path, number, record, findings)
    findings.saw(f"{path}: {len(seen)} cuts")
    if not seen:
        findings.wrong(f"{path}: holds no cuts; prepare the corpus anew with: asrkd prepare")


def _audit_files(
    path: Path, number: int, record: dict[str, Any], present: dict[str, bool], findings: Findings
) -> None:
    """The audio files and feature archives of a line are there; each file is looked for once."""
    recording, features = record.get("recording") or {}, record.get("features") or {}
    named = [source["source"] for source in recording.get("sources", ()) if source.get("type") == "file"]
    named += [features["storage_path"]] if "storage_path" in features else []
    for name in named:
        if name not in present:
            present[name] = (path.parent / name).exists()
            if not present[name]:
                findings.wrong(
                    f"{path}:{number}: cut {record.get('id')}: {name} is not there; "
                    "put it back, or prepare the corpus anew with: asrkd prepare",
                    kind="files that are not there",
                )


def _audit_contents(path: Path, number: int, record: dict[str, Any], findings: Findings) -> None:
    try:
        cut = resolve(deserialize_item(dict(record)), path.parent)
    except Exception as error:  # lhotse raises whatever the missing field causes
        findings.wrong(f"{path}:{number}: not a lhotse cut: {error!r}", kind="lines that are no cuts")
        return
    where = f"{path}:{number}: cut {cut.id}"
    try:
        features = load_features(cut) if cut.features is not None else None
    except AsrkdError as error:
        findings.wrong(f"{where}: {error}", kind="features that cannot be read")
    else:
        if features is not None and len(features) != cut.num_frames:
            findings.wrong(
                f"{where}: {len(features)} frames of features, expected {cut.num_frames}; "
                "make them anew with: asrkd prepare",
                kind="features of another length",
            )
    _audit_audio(cut, where, findings)


def _audit_audio(cut: MonoCut, where: str, findings: Findings) -> None:
    """The audio decodes, and to the samples that the hash was taken of."""
    expected = (cut.custom or {}).get("audio_sha256")
    if cut.recording is None or expected is None or cut.recording.transforms:
        return  # a perturbed copy bears the hash of its original, which is looked at by itself
    try:
        found = audio_sha256(decode(cut))
    except BadAudio as error:
        findings.wrong(f"{where}: {error}; put the file back", kind="audio that is broken")
    else:
        if found != expected:
            findings.wrong(
                f"{where}: its audio is not what it was at prepare (sha256 {found[:12]} now, "
                f"{expected[:12]} then); prepare the corpus anew with: asrkd prepare",
                kind="audio that changed",
            )
