"""Schemas of the records in a store: contract, stamp, index, sources, and lines of N-best lists."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from asrkd.core.schema import Count, Duration, Finite, Name, Positive, Record, Schema, Sha256, WholeNumber

MOST_SHARDS = 1_000_000
Digest = Annotated[str, Field(strict=True, pattern="^[0-9a-f]{32}$")]  # digest of a cut, its first 32 digits
# -inf: a hypothesis may be impossible under one of the models.
LogProb = Annotated[float, Field(strict=True, lt=math.inf, allow_inf_nan=True)]


class _Stamp(Record):
    num_shards: Annotated[int, Field(strict=True, ge=0, le=MOST_SHARDS)]
    num_cuts: Count = 0


class _Payload(Record):
    num_bytes: Count
    sha256: str
    contract: str


class _Entry(Record):
    id: Name
    offset: Count
    length: Count
    digest: Digest
    crc32: Annotated[int, Field(strict=True, ge=0, lt=2**32)]


class _Features(Record):
    frame_shift: Duration


class _Rule(Record):
    of: str = ""
    round: str = ""
    divisor: Positive = 1
    sampling_rate: WholeNumber = 1
    convolutions: list[Annotated[list[Count], Field(min_length=2, max_length=2)]] = []


class _Cuts(Record):
    count: Count = 0
    digest: Sha256 = ""


class _Quantizer(Record):
    num_codebooks: Positive = 1
    codebook_size: Annotated[int, Field(strict=True, ge=2, le=256)] = 2
    sha256: str = ""


class _Search(Record):
    name: str = ""
    num_best: Positive = 1
    lm: dict[str, Any] = {}


class _Contract(Record):
    """Fields that readers use; others may hold anything."""

    kind: str = ""
    record: Positive = 1
    cuts: _Cuts = _Cuts()
    features: _Features | None = None
    frame_shift: Duration = 1.0
    first_frame_offset: Finite | None = None
    length_rule: _Rule | str | None = None
    quantizer: _Quantizer = _Quantizer()
    search: _Search = _Search()
    audio: dict[str, Any] = {}
    layer: Positive = 1
    tap: str = ""
    num_tokens: Positive = 1
    dim: Positive = 1
    top_k: Positive | Literal["all"] = 1


class _Sources(Record):
    command: str | None
    teacher: str | None
    cuts: list[str]
    quantizer: str | None
    folds: list[str] = []
    noise: str | None = None
    lm: str | None = None


class _Hypothesis(Record):
    text: str
    log_prob: LogProb
    score: LogProb = 0.0
    ctc: LogProb = 0.0
    attention: LogProb = 0.0
    lm: LogProb = 0.0
    length: Finite = 0.0
    errors: Count = 0
    sub: Count = 0
    deletions: Count = Field(0, alias="del")
    ins: Count = 0
    tokens: list[Count] = []


class _Nbest(Record):
    id: Name
    num_words: Count | None
    hypotheses: list[_Hypothesis]


STAMP: Schema[Any] = Schema(_Stamp)
PAYLOAD: Schema[Any] = Schema(_Payload)
ENTRY: Schema[Any] = Schema(_Entry)
CONTRACT: Schema[Any] = Schema(_Contract)
SOURCES: Schema[Any] = Schema(_Sources)
NBEST: Schema[Any] = Schema(_Nbest)
