"""Comparison record: the JSON file of `asrkd compare --out`, with all numbers of its tables.

Rates and differences are fractions of the words of the references: 0.05 is 5 %. If the systems were scored in
another unit (``unit``), ``wer`` and ``num_words`` are of that unit. A difference is the rate of a system
minus that of the baseline, negative if the system is better.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.schema import explain
from asrkd.evaluation.compare.delays import Latency
from asrkd.evaluation.compare.fairness import Fairness
from asrkd.evaluation.costs.measuring import Costs, Protocol
from asrkd.scoring.normalizer import Normalizer
from asrkd.scoring.significance.bootstrap import Interval
from asrkd.scoring.units import WORD, Unit

VERSION = 3  # version of the record
FARTHEST = 10.0  # largest rate or difference that is printed; beyond it, "> 1000"


@dataclass(frozen=True)
class Run:
    """A system trained from one seed, or the score of transcripts."""

    seed: int  # seed of the model; without a model, the number of the run within the system, from 1
    score: str  # score folder
    model: str | None  # model folder
    wer: float
    errors: int
    train_seconds: float | None


@dataclass(frozen=True)
class MatchedPairsTest:
    """MAPSSWE against the baseline; several seeds are tested together, as these models."""

    num_segments: int
    z: float  # negative if the system is better
    p: float  # two-sided
    p_holm: float  # with Holm's correction over the students; the teacher's p is not corrected
    # Errors of the system minus errors of the baseline per segment, if equal in all segments, when z is 0 by
    # NIST's convention; None if they vary.
    uniform_difference: float | None = None


@dataclass(frozen=True)
class Difference:
    """The difference of a system from the baseline."""

    value: float
    interval: Interval | None  # None: fewer than two blocks
    p: float | None  # two-sided, with blocks and seeds as random effects; None as above
    p_holm: float | None
    probability_of_improvement: float | None
    # The smallest true difference that would be significant with a power of 80 %; None also if all blocks
    # differ equally, as for a copy, since their spread is then unknown.
    smallest: float | None
    mapsswe: MatchedPairsTest


@dataclass(frozen=True)
class Share:
    """A ratio with its interval."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class SystemResult:
    """The result of a system over its seeds."""

    name: str
    role: str  # teacher, baseline or student
    runs: list[Run]
    wer: float  # mean over seeds
    wer_std: float | None  # standard deviation over seeds; None: one seed
    interval: Interval | None  # interval of the mean; None: fewer than two blocks, or no errors
    difference: Difference | None  # None: it is the baseline
    saved_share: Share | None  # fraction of the baseline's errors avoided; negative if there are more
    # Fraction of the gap between baseline and teacher that a student closes: 0 the baseline, 1 the teacher.
    gap_share: Share | None  # for students; None: no teacher, or no gap significantly above 0
    params: int | None  # None: no model is known, likewise below
    weight_bytes: int | None  # size of the exported weights
    train_seconds: float | None  # mean over seeds
    costs: Costs | None  # None: not measured
    latency: Latency | None = None  # None: the scores have no times of words, as in files older than them


@dataclass(frozen=True)
class Comparison:
    """Results of systems that were scored on the same references with the same rules."""

    set_name: str
    num_utterances: int
    num_words: int
    alignment: str
    normalizer: Normalizer
    references_sha256: str
    blocks: str  # blocks of the bootstrap: speaker, recording or utterance, as far as known
    num_blocks: int
    num_replicates: int
    seed: int  # seed of the bootstrap
    teacher: str | None
    baseline: str | None
    systems: list[SystemResult]  # in the order of the command line
    fairness: Fairness
    conclusions: list[str]  # sentences
    costs_protocol: Protocol | None
    version: int = VERSION
    unit: Unit = WORD  # missing in files older than other units


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write a comparison as JSON; without latency if no system has it."""
    record = asdict(comparison)
    if all(system["latency"] is None for system in record["systems"]):
        for system in record["systems"]:
            del system["latency"]
    files.write_json(path, record)


def read_comparison(path: Path) -> Comparison:
    """Read a comparison written by :func:`write_comparison`.

    Raises:
        AsrkdError: no such file, damaged, or of another kind or version.
    """
    record = files.read_json(path)
    remedy = "use a file written by asrkd compare MODEL ... --out FILE"  # not this path: it may be the user's
    if not isinstance(record, dict) or record.get("version") != VERSION:
        raise AsrkdError(f"{path}: not a comparison of this version of asrkd; {remedy}")
    try:
        return TypeAdapter(Comparison).validate_json(json.dumps(record))
    except ValidationError as error:
        raise AsrkdError(f"{path}: {explain(error)}; {remedy}") from None
