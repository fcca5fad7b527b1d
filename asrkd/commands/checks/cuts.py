"""Check of cut manifests, streamed: one pass and little memory for a million cuts."""

from pathlib import Path
from typing import Any

from lhotse import MonoCut
from lhotse.serialization import deserialize_item

from asrkd.commands.checks.findings import Findings
from asrkd.core.command_record import read_command
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command, make_again
from asrkd.data.corpora.recordings import BadAudio, audio_sha256, decode
from asrkd.data.cuts.manifests import stream_lines
from asrkd.data.cuts.packed import resolve
from asrkd.data.features.reading import load_features


def audit_cuts(path: Path, findings: Findings, *, deep: bool) -> int:
    """Check a manifest: every line is a cut, ids are unique, audio and feature files exist.

    Args:
        path: the manifest.
        findings: findings to add notes and problems to.
        deep: whether to decode the audio, compare its hash with that in the manifest, and load the features.

    Returns:
        The number of cuts.
    """
    seen: set[str] = set()
    present: dict[str, bool] = {}
    with findings.collect(path):
        for line in stream_lines(path):
            if line.cut.id in seen:
                text = f"{path}:{line.number}: duplicate cut id {line.cut.id!r}"
                findings.problem(text, kind="duplicate cut ids")
            seen.add(line.cut.id)
            _audit_files(path, line.number, line.fields, present, findings)
            if deep:
                _audit_contents(path, line.number, line.fields, findings)
    findings.note(f"{path}: {len(seen)} cuts")
    if not seen:
        findings.problem(f"{path}: holds no cuts; {prepare_again(path.parent)}")
    return len(seen)


def prepare_again(folder: Path) -> str:
    """Format the remedy for cuts in ``folder`` that have changed since they were prepared."""
    maker = read_command(folder)
    if maker is None:
        return f"prepare the corpus again with: {command('asrkd', 'prepare', '...', '--out', '...')}"
    return make_again(folder, maker, "the folder")


def _audit_files(
    path: Path, number: int, record: dict[str, Any], present: dict[str, bool], findings: Findings
) -> None:
    """Check that the audio files and feature archives of a line exist; look for each file once."""
    try:
        names = _file_names(record)
    except (KeyError, TypeError, AttributeError) as error:
        findings.problem(f"{path}:{number}: not a lhotse cut: {error!r}", kind="lines that are no cuts")
        return
    for name in names:
        if name not in present:
            present[name] = (path.parent / name).exists()
            if not present[name]:
                findings.problem(
                    f"{path}:{number}: cut {record.get('id')}: {name} does not exist; "
                    f"put it back, or {prepare_again(path.parent)}",
                    kind="missing files",
                )


def _file_names(record: dict[str, Any]) -> list[str]:
    """Return the names of audio and feature files; KeyError and the like if the record is not lhotse's."""
    recording, features = record.get("recording"), record.get("features") or {}
    sources = recording["sources"] if recording else ()
    names = [source["source"] for source in sources if source["type"] == "file"]
    return names + ([features["storage_path"]] if "storage_path" in features else [])


def _audit_contents(path: Path, number: int, record: dict[str, Any], findings: Findings) -> None:
    try:
        cut = resolve(deserialize_item(dict(record)), path.parent)
    except Exception as error:  # lhotse raises whatever the missing field causes
        findings.problem(f"{path}:{number}: not a lhotse cut: {error!r}", kind="lines that are no cuts")
        return
    where = f"{path}:{number}: cut {cut.id}"
    try:
        features = load_features(cut) if cut.features is not None else None
    except AsrkdError as error:
        findings.problem(f"{where}: {error}", kind="features that cannot be read")
    else:
        if features is not None and len(features) != cut.num_frames:
            findings.problem(
                f"{where}: {len(features)} frames of features, expected {cut.num_frames}; "
                f"{prepare_again(path.parent)}",
                kind="features of another length",
            )
    _audit_audio(cut, where, path.parent, findings)


def _audit_audio(cut: MonoCut, where: str, folder: Path, findings: Findings) -> None:
    """Check that the audio decodes to the samples whose hash was taken at prepare."""
    expected = (cut.custom or {}).get("audio_sha256")
    if cut.recording is None or expected is None or cut.recording.transforms:
        return  # a perturbed copy has the hash of its original, which is checked by itself
    try:
        actual = audio_sha256(decode(cut))
    except BadAudio as error:
        findings.problem(f"{where}: {error}; put the file back", kind="audio that is broken")
    else:
        if actual != expected:
            findings.problem(
                f"{where}: its audio changed since prepare (sha256 {actual[:12]} now, "
                f"{expected[:12]} then); {prepare_again(folder)}",
                kind="audio that changed",
            )
