"""What `asrkd compare --out` writes: everything that its tables show, and what they were made from.

Rates and differences are fractions of the words of the references, or of the
other units that all were scored in (``unit``; ``wer`` and ``num_words`` are of
these then): 0.05 is 5 %, and a difference is a system's rate less the
baseline's, below 0 where the system is better.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.schema import explain
from asrkd.evaluation.costs.measuring import Costs, Protocol
from asrkd.scoring.normalizer import Normalizer
from asrkd.scoring.significance.bootstrap import Interval
from asrkd.scoring.units import WORD, Unit

VERSION = 2  # of this record
FARTHEST = 10.0  # of a rate or a difference; what lies beyond is not told apart


@dataclass(frozen=True)
class Run:
    """A system trained from one seed, or scored transcripts."""

    seed: int  # the model's; where no model is known, its place among the system's runs, from 1
    score: str  # the score folder
    model: str | None  # its folder
    wer: float
    errors: int
    train_seconds: float | None


@dataclass(frozen=True)
class MatchedPairsTest:
    """MAPSSWE against the baseline; several seeds are tested together, as these very models."""

    num_segments: int
    z: float  # below 0 where the system is better
    p: float  # two-sided
    p_holm: float  # corrected for the number of students; the teacher's and a lone student's are as they are
    # The system's errors less the baseline's in each segment, where all segments differ alike: z is 0 then,
    # by NIST's convention. None: they do not.
    uniform_difference: float | None = None


@dataclass(frozen=True)
class Difference:
    """A system against the baseline."""

    value: float
    interval: Interval | None  # None: fewer than two blocks
    p: float | None  # two-sided, of blocks and seeds as random draws; None as above
    p_holm: float | None
    probability_of_improvement: float | None
    # The smallest true difference that would be shown in four of five cases; None too where all blocks
    # differ alike, as of a copy, for then nothing is known of their spread.
    smallest: float | None
    mapsswe: MatchedPairsTest


@dataclass(frozen=True)
class Share:
    """A part of something, as a fraction of it."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class SystemResult:
    """One system, over its seeds."""

    name: str
    role: str  # teacher, baseline or student
    runs: list[Run]
    wer: float  # mean over seeds
    wer_std: float | None  # standard deviation over seeds; None: one seed
    interval: (
        Interval | None
    )  # of the mean; None: fewer than two blocks, or no errors to say how far off 0 is
    difference: Difference | None  # None: it is the baseline
    saved_share: Share | None  # of the baseline's errors, below 0 where there are more
    # The part of the way from baseline to teacher that a student has come: 0 the baseline, 1 the teacher.
    gap_share: Share | None  # of students; None: no teacher, or no gap that is clearly above 0
    params: int | None  # None: no model is known; so below
    weight_bytes: int | None  # of the exported weights
    train_seconds: float | None  # mean over seeds
    costs: Costs | None  # None: not asked for


@dataclass(frozen=True)
class Comparison:
    """Systems scored on the same references in the same way."""

    set_name: str
    num_utterances: int
    num_words: int
    alignment: str
    normalizer: Normalizer
    references_sha256: str
    blocks: str  # what the bootstrap draws as a whole: speaker, recording or utterance, as far as it is known
    num_blocks: int
    num_replicates: int
    seed: int  # of the bootstrap
    teacher: str | None
    baseline: str | None
    systems: list[SystemResult]  # in the order in which they were named
    conclusions: list[str]  # sentences
    costs_protocol: Protocol | None
    version: int = VERSION
    unit: Unit = WORD  # files of before there were others lack it


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write it as JSON."""
    files.write_json(path, asdict(comparison))


def read_comparison(path: Path) -> Comparison:
    """Read what :func:`write_comparison` wrote.

    Raises:
        AsrkdError: no such file, torn, or of another kind or version.
    """
    record = files.read_json(path)
    remedy = "give what asrkd compare MODEL ... --out FILE wrote"  # not this path: it may be somebody's
    if not isinstance(record, dict) or record.get("version") != VERSION:
        raise AsrkdError(f"{path}: not a comparison as this asrkd writes it; {remedy}")
    try:
        return TypeAdapter(Comparison).validate_json(json.dumps(record))
    except ValidationError as error:
        raise AsrkdError(f"{path}: {explain(error)}; {remedy}") from None
