"""Forms of the records in a store: contract, stamp, index, sources, and the lines of N-best lists."""

import math
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from asrkd.schema import STRICT, Count, Duration, Finite, Name, Positive, Schema, Sha256, WholeNumber

MOST_SHARDS = 1_000_000
Digest = Annotated[str, Field(strict=True, pattern="^[0-9a-f]{32}$")]  # of a cut, its first digits


# -inf: a model may find impossible what another proposed.
LogProb = Annotated[float, Field(strict=True, lt=math.inf, allow_inf_nan=True)]


class _Stamp(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    num_shards: Annotated[int, Field(strict=True, ge=0, le=MOST_SHARDS)]
    num_cuts: NotRequired[Count]


class _Payload(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    num_bytes: Count
    sha256: str
    contract: str


class _Entry(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    id: Name
    offset: Count
    length: Count
    digest: Digest
    crc32: Annotated[int, Field(strict=True, ge=0, lt=2**32)]


class _Features(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    frame_shift: Duration


class _Rule(TypedDict, total=False):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    of: str
    round: str
    divisor: Positive
    sampling_rate: WholeNumber
    convolutions: list[Annotated[list[Count], Field(min_length=2, max_length=2)]]


class _Cuts(TypedDict, total=False):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    count: Count
    digest: Sha256


class _Quantizer(TypedDict, total=False):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    num_codebooks: Positive
    codebook_size: Annotated[int, Field(strict=True, ge=2, le=256)]
    sha256: str


class _Search(TypedDict, total=False):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    name: str
    num_best: Positive
    lm: dict[str, Any]


class _Contract(TypedDict, total=False):
    """Only what readers go by; the rest is anything."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    kind: str
    record: Positive
    cuts: _Cuts
    features: _Features | None
    frame_shift: Duration
    first_frame_offset: Finite | None
    length_rule: _Rule | str | None
    quantizer: _Quantizer
    search: _Search
    audio: dict[str, Any]
    layer: Positive
    tap: str
    num_tokens: Positive
    dim: Positive
    top_k: Positive


class _Sources(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    command: str
    teacher: str | None
    cuts: list[str]
    quantizer: str | None
    folds: NotRequired[list[str]]
    noise: NotRequired[str | None]
    lm: NotRequired[str | None]


class _Hypothesis(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    text: str
    log_prob: LogProb
    score: NotRequired[LogProb]
    ctc: NotRequired[LogProb]
    attention: NotRequired[LogProb]
    lm: NotRequired[LogProb]
    length: NotRequired[Finite]
    errors: NotRequired[Count]
    sub: NotRequired[Count]
    ins: NotRequired[Count]
    tokens: NotRequired[list[Count]]


# "del" cannot be a name in a class.
_Counted = TypedDict("_Counted", {"del": NotRequired[Count]})


class _CountedHypothesis(_Hypothesis, _Counted):
    __pydantic_config__ = STRICT  # type: ignore[misc]


class _Nbest(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    id: Name
    num_words: Count | None
    hypotheses: list[_CountedHypothesis]


STAMP: Schema[Any] = Schema(_Stamp)
PAYLOAD: Schema[Any] = Schema(_Payload)
ENTRY: Schema[Any] = Schema(_Entry)
CONTRACT: Schema[Any] = Schema(_Contract)
SOURCES: Schema[Any] = Schema(_Sources)
NBEST: Schema[Any] = Schema(_Nbest)
