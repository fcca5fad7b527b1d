"""Feature shards on disk, planned from the manifest alone.

A shard has a fixed number of consecutive cuts of a split with their
speed-perturbed copies, and one worker computes it: an archive of lilcom
chunks, ``shard-00000-of-00012.lca``, and a ledger, ``.jsonl.gz``, with the
finished cuts and the items whose audio is bad. The ledger is written last: a
shard is done if both files exist. Paths in the ledger are relative to the
output folder, as in the manifests that are joined from the ledgers.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lhotse import Fbank, LilcomChunkyWriter, MonoCut

from asrkd.core import files
from asrkd.core.task_monitor import TaskMonitor
from asrkd.data.corpora.recordings import BadAudio, audio_sha256, decode
from asrkd.data.corpora.validation import Quarantined, Splits, quarantine
from asrkd.data.cuts.packed import PackedCuts, resolve
from asrkd.data.cuts.records import parse_record
from asrkd.data.features.fbank import make_extractor

FOLDER = "features"


@dataclass(frozen=True)
class Plan:
    """Settings of all feature shards of a corpus."""

    out: Path
    num_mel_bins: int
    sampling_rate: int  # Hz, of the features; audio of another rate is resampled
    cuts_per_shard: int  # before speed perturbation
    speeds: tuple[float, ...] = ()  # speeds of the copies in ``train``


@dataclass(frozen=True)
class FeatureShard:
    """Work item of one feature shard: number ``index`` of ``count`` in a split."""

    plan: Plan
    split: str
    index: int
    count: int
    cuts: PackedCuts  # cuts, with the audio paths of the manifests

    @property
    def archive(self) -> Path:
        """Path of the features, relative to the output folder."""
        return Path(FOLDER) / self.split / f"shard-{self.index:05d}-of-{self.count:05d}.lca"

    @property
    def ledger(self) -> Path:
        """Path of the ledger, relative to the output folder."""
        return self.archive.with_suffix(".jsonl.gz")

    @property
    def speeds(self) -> tuple[float, ...]:
        """Speeds of the copies of each cut."""
        return self.plan.speeds if self.split == "train" else ()

    @property
    def path(self) -> Path:
        """Path of the archive, which identifies the shard as a work item."""
        return self.plan.out / self.archive

    @property
    def size(self) -> int:
        """Number of cuts, without copies."""
        return len(self.cuts)

    def is_done(self) -> bool:
        """Return whether both files exist."""
        return all((self.plan.out / path).is_file() for path in (self.archive, self.ledger))


def plan_shards(plan: Plan, splits: Splits) -> list[FeatureShard]:
    """Plan the shards of a corpus, in the order of its splits and cuts."""
    shards = []
    for split, cuts in splits.items():
        starts = range(0, len(cuts), plan.cuts_per_shard)
        for index, start in enumerate(starts):
            members = cuts[start : start + plan.cuts_per_shard]
            shards.append(FeatureShard(plan, split, index, len(starts), members))
    return shards


def compute_shard(shard: FeatureShard, monitor: TaskMonitor) -> None:
    """Compute and publish a shard; report each cut to ``monitor``, with the seconds of all its copies."""
    extractor = make_extractor(shard.plan.num_mel_bins, shard.plan.sampling_rate)
    done: list[MonoCut] = []
    bad: list[Quarantined] = []
    with _archive_writer(shard.plan.out / shard.archive) as writer:
        for cut in shard.cuts:
            computed: list[MonoCut] = []
            try:
                computed = _compute_cut(cut, shard, extractor, writer)
            except BadAudio as error:
                bad.append(quarantine(cut, shard.split, str(error)))
            done.extend(computed)
            monitor.advance(1, sum(copy.duration for copy in computed))
    rows: list[dict[str, object]] = [{"cut": cut.to_dict()} for cut in done]
    rows += [{"quarantined": asdict(item)} for item in bad]
    files.write_jsonl(shard.plan.out / shard.ledger, rows)


def read_ledger(shard: FeatureShard) -> tuple[PackedCuts, list[Quarantined]]:
    """Read the finished cuts of a shard and its bad items; AsrkdError if the ledger is broken."""
    cuts, path = PackedCuts(), shard.plan.out / shard.ledger
    bad: list[Quarantined] = []
    for number, row in files.read_jsonl(path):
        if "cut" in row:
            line = json.dumps(row["cut"], ensure_ascii=False)
            cuts.append_line(line, parse_record(path, number, row["cut"]))
        else:
            bad.append(Quarantined(**row["quarantined"]))
    return cuts, bad


def copies(cut: MonoCut, speeds: Sequence[float]) -> list[MonoCut]:
    """Return speed-perturbed copies of a cut, with lhotse's ids: ``<id>_sp<speed>``."""
    return [cut.perturb_speed(speed) for speed in speeds]


def _compute_cut(
    cut: MonoCut, shard: FeatureShard, extractor: Fbank, writer: LilcomChunkyWriter
) -> list[MonoCut]:
    """Compute and write the features of a cut and its copies; return the cuts with features."""
    resolved = resolve(cut, shard.plan.out)
    samples = decode(resolved)
    sha256 = audio_sha256(samples)
    if cut.sampling_rate != shard.plan.sampling_rate:
        rate = shard.plan.sampling_rate
        cut, resolved = cut.resample(rate), resolved.resample(rate)
        samples = decode(resolved)
    audio = [(cut, samples)] + [
        (copy, decode(loaded))
        for copy, loaded in zip(copies(cut, shard.speeds), copies(resolved, shard.speeds), strict=True)
    ]
    finished = []
    for copy, samples in audio:
        features = extractor.extract_from_samples_and_store(
            samples=samples,
            storage=writer,
            sampling_rate=copy.sampling_rate,
            offset=copy.start,
            channel=copy.channel,
        )
        features = replace(features, storage_path=str(shard.archive))
        custom = {**(copy.custom or {}), "audio_sha256": sha256}
        finished.append(replace(copy, features=features, custom=custom))
    return finished


@contextmanager
def _archive_writer(path: Path) -> Iterator[LilcomChunkyWriter]:
    """Open lhotse's writer of an archive that gets its name only if the block succeeds."""
    with files.create_aside(path) as partial:
        aside = partial.with_name(f"{partial.name}.lca")  # the writer appends it to any other name
        try:
            with LilcomChunkyWriter(aside) as writer:
                yield writer
            aside.replace(partial)
        finally:
            aside.unlink(missing_ok=True)
