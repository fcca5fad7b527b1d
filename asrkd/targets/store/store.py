"""Stores of a teacher's targets: opened as a whole, read by cut id, verified against the cuts.

A store is a folder: ``contract.json`` records kind, teacher and settings,
``shard-00000-of-00012.*`` hold the targets, ``sources.json`` the paths of
teacher and cuts, and ``stamp.json`` marks a complete store. Opening reads the
indexes alone; all targets are checked against their checksums when they are read.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from lhotse import MonoCut

from asrkd.core import files, output_folder
from asrkd.core.artifacts import CONTRACT
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command, make_again
from asrkd.data.cuts.records import CutRecord, records
from asrkd.models.frame_timing import expected_frames, offset_problem
from asrkd.targets.store import fields
from asrkd.targets.store.provenance import check_sources, remake_command
from asrkd.targets.store.shards import (
    DIGEST_LENGTH,
    Entry,
    Payload,
    index_path,
    read_index,
    read_payload,
    remove_shard,
    shard_name,
)


class CutIndex:
    """Index entries by cut id, some 150 bytes each, so that a million fit in memory."""

    def __init__(self) -> None:
        self._row: dict[str, int] = {}
        self._numbers = {name: array("Q") for name in ("shard", "offset", "length", "crc32")}
        self._digests = bytearray()

    def add(self, cut_id: str, shard: int, entry: Entry) -> bool:
        """Add an entry; return False if the id is a duplicate."""
        if self._row.setdefault(cut_id, len(self._row)) != len(self._digests) // (DIGEST_LENGTH // 2):
            return False
        for name, value in (("shard", shard), *entry._asdict().items()):
            if name != "digest":
                self._numbers[name].append(value)
        self._digests += bytes.fromhex(entry.digest)
        return True

    def __contains__(self, cut_id: str) -> bool:
        return cut_id in self._row

    def __len__(self) -> int:
        return len(self._row)

    def ids(self) -> Iterable[str]:
        """Return the cut ids, in the order of the shards."""
        return self._row.keys()

    def __getitem__(self, cut_id: str) -> tuple[int, Entry]:
        """Return (number of the shard, entry) of a cut; KeyError if there is none."""
        row, width = self._row[cut_id], DIGEST_LENGTH // 2
        shard, offset, length, crc32 = (numbers[row] for numbers in self._numbers.values())
        return shard, Entry(offset, length, self._digests[row * width : (row + 1) * width].hex(), crc32)


class Store:
    """Base of all stores: contract, index, verification."""

    suffix: str

    def __init__(self, path: Path, kind: str) -> None:
        """Open the complete store at ``path``; it must be of ``kind``.

        Raises:
            AsrkdError: the store is unfinished or of another kind, or a shard
                is missing, torn, from another store, or repeats a cut.
        """
        self.path, self.kind = path, kind
        output_folder.read_stamp(path, remake_command(path, kind))  # whether it is there and complete
        self.contract = read_contract(path, kind)
        stamp = output_folder.read_stamp(path, remake_command(path, kind), form=fields.STAMP)
        total = stamp["num_shards"]
        self.shards = [path / shard_name(number, total, self.suffix) for number in range(total)]
        self.index = read_indexes(self.shards, files.sha256(path / CONTRACT))
        if len(self.index) != stamp.get("num_cuts", len(self.index)):
            raise AsrkdError(
                f"{path}: holds {len(self.index)} cuts, expected {stamp['num_cuts']} by its stamp; "
                f"{make_again(path, self.remake)}"
            )

    @property
    def remake(self) -> str:
        """Return the command that makes this store."""
        return remake_command(self.path, self.kind)

    def entry(self, cut_id: str) -> tuple[int, Entry]:
        """Return (number of the shard, entry) of a cut; AsrkdError if there is none."""
        if cut_id not in self.index:
            raise AsrkdError(
                f"{self.path}: no targets for cut {cut_id}; make a store of all training cuts "
                f"with: {self.remake}"
            )
        return self.index[cut_id]

    def verify(self, cuts: Sequence[MonoCut], student_shift: float | None = None) -> None:
        """Raise AsrkdError unless every cut has targets, computed of the same audio and of the right length.

        The message names the cut, and the expected and the actual value. The
        teacher and the quantizer that the store records are checked too, if
        they still exist.

        Args:
            cuts: cuts that a student is trained on.
            student_shift: seconds between the student's frames; None if no student is known.
        """
        check_sources(self.path, self.contract)
        self._check_first_frame(cuts, student_shift)
        for row, record in enumerate(records(cuts)):
            problem = mismatch(self.contract, self.entry(record.id)[1], record)
            if problem:
                raise AsrkdError(
                    f"{self.path}: the targets of cut {record.id} {problem}: {describe_audio(cuts[row])}; "
                    f"{make_again(self.path, self.remake, 'the store')}"
                )

    def _check_first_frame(self, cuts: Sequence[MonoCut], student_shift: float | None) -> None:
        """Raise AsrkdError if target frames do not coincide with those of a student that reads these cuts."""
        if self.kind == "nbest":  # texts have no frames
            return
        for features in {record.features for record in records(cuts) if record.features is not None}:
            problem = offset_problem(self.contract, features, student_shift)
            if problem:
                raise AsrkdError(
                    f"{self.path}: its frames {problem}; use a teacher whose first frame is where the "
                    "student's is, or prepare the cuts with features of its frame shift"
                )

    def damaged(self, cut_id: str, shard: int) -> AsrkdError:
        """Return the error of targets whose checksum does not match."""
        return AsrkdError(damage(self.shards[shard], f"the targets of cut {cut_id} are damaged"))


def mismatch(contract: dict[str, Any], entry: Entry, cut: CutRecord) -> str | None:
    """Describe the mismatch of stored targets and a cut, as the end of a sentence; None if they match."""
    if entry.digest != cut.digest[:DIGEST_LENGTH]:
        return f"were made of other audio (digest {entry.digest[:12]}, the cut has {cut.digest[:12]})"
    if contract.get("kind") == "nbest":  # texts have no frames
        return None
    expected = expected_frames(contract, cut.duration, cut.sampling_rate)
    if expected not in (None, entry.length):
        return f"have {entry.length} frames, expected {expected} for {cut.duration:g} s"
    return None


def read_contract(path: Path, kind: str) -> dict[str, Any]:
    """Read the contract of the store at ``path``; AsrkdError if it is none, or of another kind."""
    contract = files.read_json(path / CONTRACT)
    if not isinstance(contract, dict):
        maker = remake_command(path, kind)
        raise AsrkdError(f"{path / CONTRACT}: not a contract; make the store with: {maker}")
    if contract.get("kind") != kind:
        maker = command("asrkd", "distill", kind, "...")
        raise AsrkdError(
            f"{path}: holds {contract.get('kind')!r} targets, expected {kind!r}; "
            f"make such a store with: {maker}"
        )
    try:
        fields.CONTRACT.check(contract)
    except ValueError as error:
        remedy = make_again(path, remake_command(path, kind), "the store")
        raise AsrkdError(f"{path / CONTRACT}: not as asrkd writes it: {error}; {remedy}") from None
    return contract


def read_indexes(shards: Sequence[Path], contract: str) -> CutIndex:
    """Read the index entries of all cuts in ``shards``.

    Args:
        shards: all payload files of the store.
        contract: digest of the store's contract.

    Raises:
        AsrkdError: a shard is missing, torn or from another store, or a cut id is a duplicate.
    """
    index = CutIndex()
    for number, shard in enumerate(shards):
        check_payload(shard, contract, lambda path, _: path.stat().st_size)
        for cut_id, entry in read_index(shard):
            if not index.add(cut_id, number, entry):
                raise AsrkdError(
                    damage(shard, f"duplicate cut id {cut_id!r} (first in shard {index[cut_id][0]})")
                )
    return index


def check_payload(shard: Path, contract: str, measure: Callable[[Path, Payload], int]) -> Payload:
    """Check that a payload is there, whole, and of this contract; return its index line.

    Args:
        shard: the payload file.
        contract: digest of the store's contract.
        measure: function that counts the bytes of the file, and may check them.

    Raises:
        AsrkdError: file or index is missing, torn, or of another contract.
    """
    for path in (shard, index_path(shard)):
        if not path.is_file():
            raise AsrkdError(f"{path}: missing; make it again with: {remake_command(path.parent)}")
    payload = read_payload(shard)
    if payload.contract != contract:
        cut_id = next((cut_id for cut_id, _ in read_index(shard)), "none")
        raise AsrkdError(
            damage(
                shard,
                f"made under another contract ({payload.contract[:12]}, the store's is {contract[:12]}): "
                f"another teacher, quantizer or search (its first cut: {cut_id})",
            )
        )
    num_bytes = measure(shard, payload)
    if num_bytes != payload.num_bytes:
        raise AsrkdError(damage(shard, f"torn: {num_bytes} bytes, expected {payload.num_bytes} by its index"))
    return payload


def damage(shard: Path, what: str) -> str:
    """Return a message about a shard that must be removed and written again."""
    return f"{shard}: {what}; {remove_shard(shard)}"


def describe_audio(cut: MonoCut) -> str:
    """Describe a cut for comparison: recording, samples, rate, transforms."""
    transforms = (cut.recording.transforms or []) if cut.recording is not None else []
    names = [step["name"] if isinstance(step, dict) else type(step).__name__ for step in transforms]
    shape = f"recording {cut.recording_id}, {cut.num_samples} samples at {cut.sampling_rate} Hz"
    return shape + (f", {', '.join(names)}" if names else "")
