"""Feature extraction against lhotse's own on the same files, one process and one thread each."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from lhotse import CutSet, LilcomChunkyWriter

from asrkd.core.parallel import one_thread
from asrkd.core.stopping import StopRequest
from asrkd.data.corpora.digits import DigitsOptions, make
from asrkd.data.cuts.packed import resolve
from asrkd.data.features.fbank import make_extractor
from asrkd.data.features.shards import Plan, compute_shard, plan_shards
from tests.bench.row import Row
from tests.watching import unwatched

MINUTES, ROUNDS = 6.0, 15  # a round is a second: many, as the machine's speed wanders


def measure() -> Iterator[Row]:
    """Audio-seconds per second of both, the median of several rounds taken in turn."""
    with tempfile.TemporaryDirectory() as name, one_thread():
        out = Path(name)
        made = make(out / "corpus", DigitsOptions(minutes=MINUTES), jobs=1, stop=StopRequest())
        cuts = [resolve(cut, out / "corpus") for cut in made["train"]]
        audio_s = sum(cut.duration for cut in cuts)
        times: dict[str, list[float]] = {"ours": [], "theirs": []}
        for round_ in range(ROUNDS):
            shards = plan_shards(Plan(out / f"ours-{round_}", 80, 16000, len(cuts)), {"train": cuts})
            started_at = time.perf_counter()
            for shard in shards:
                compute_shard(shard, unwatched())
            times["ours"].append(time.perf_counter() - started_at)
            started_at = time.perf_counter()
            theirs = CutSet.from_cuts(cuts).compute_and_store_features(
                make_extractor(80, 16000),
                str(out / f"theirs-{round_}"),
                storage_type=LilcomChunkyWriter,
                progress_bar=False,
            )
            theirs.to_file(out / f"theirs-{round_}.jsonl.gz")  # both end with features and a manifest
            times["theirs"].append(time.perf_counter() - started_at)
    rates = [audio_s / median(times[who]) for who in ("ours", "theirs")]
    yield Row("features, audio s/s, beside lhotse's own", *rates, ">= 0.9")
