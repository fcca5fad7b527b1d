"""Cut manifests, streamed: a million cuts are looked over in one pass and in little memory."""

from pathlib import Path
from typing import Any

from lhotse import MonoCut
from lhotse.serialization import deserialize_item

from asrkd.commands.checks.findings import Findings
from asrkd.core.command_record import read_command
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command, make_anew
from asrkd.data.corpora.recordings import BadAudio, audio_sha256, decode
from asrkd.data.cuts.manifests import stream_lines
from asrkd.data.cuts.packed import resolve
from asrkd.data.features.reading import load_features


def audit_cuts(path: Path, findings: Findings, *, deep: bool) -> int:
    """Look over a manifest: every line is a cut, no id twice, the files named are there; how many they are.

    Args:
        path: the manifest.
        findings: what is found goes here.
        deep: decode the audio, compare its hash with the one taken at prepare, and load the features.
    """
    seen: set[str] = set()
    present: dict[str, bool] = {}
    with findings.looking(path):
        for line in stream_lines(path):
            if line.cut.id in seen:
                what = f"{path}:{line.number}: cut {line.cut.id!r} comes twice"
                findings.wrong(what, kind="ids that come twice")
            seen.add(line.cut.id)
            _audit_files(path, line.number, line.fields, present, findings)
            if deep:
                _audit_contents(path, line.number, line.fields, findings)
    findings.saw(f"{path}: {len(seen)} cuts")
    if not seen:
        findings.wrong(f"{path}: holds no cuts; {prepare_anew(path.parent)}")
    return len(seen)


def prepare_anew(folder: Path) -> str:
    """What to do where the cuts in ``folder`` are not what they were when they were prepared."""
    known = read_command(folder)
    if known is None:
        return f"prepare the corpus anew with: {command('asrkd', 'prepare', '...', '--out', '...')}"
    return make_anew(folder, known, "the folder")


def _audit_files(
    path: Path, number: int, record: dict[str, Any], present: dict[str, bool], findings: Findings
) -> None:
    """The audio files and feature archives of a line are there; each file is looked for once."""
    try:
        named = _named_files(record)
    except (KeyError, TypeError, AttributeError) as error:
        findings.wrong(f"{path}:{number}: not a lhotse cut: {error!r}", kind="lines that are no cuts")
        return
    for name in named:
        if name not in present:
            present[name] = (path.parent / name).exists()
            if not present[name]:
                findings.wrong(
                    f"{path}:{number}: cut {record.get('id')}: {name} is not there; "
                    f"put it back, or {prepare_anew(path.parent)}",
                    kind="files that are not there",
                )


def _named_files(record: dict[str, Any]) -> list[str]:
    """Of audio and of features; KeyError and the like if lhotse could not read what names them."""
    recording, features = record.get("recording"), record.get("features") or {}
    sources = recording["sources"] if recording else ()
    named = [source["source"] for source in sources if source["type"] == "file"]
    return named + ([features["storage_path"]] if "storage_path" in features else [])


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
                f"{prepare_anew(path.parent)}",
                kind="features of another length",
            )
    _audit_audio(cut, where, path.parent, findings)


def _audit_audio(cut: MonoCut, where: str, folder: Path, findings: Findings) -> None:
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
                f"{expected[:12]} then); {prepare_anew(folder)}",
                kind="audio that changed",
            )
