"""Folds of a list of cuts, for teachers that decode only cuts which they were not trained on.

A teacher that has memorized its training set makes no errors on it, and every
weight of ERR-KD is 1. With k folds, k teachers are trained, each without one
fold, and each fold is decoded by the teacher that was trained without it.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from asrkd.core import config
from asrkd.core.config import Section
from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.records import CutRecord

FoldKey = Literal["speaker", "recording", "cut"]


class FoldSettings(Section):
    """Fold that a training leaves out."""

    count: int = Field(ge=2)
    left_out: int = Field(ge=0)  # number of the fold, from 0
    by: FoldKey = "speaker"  # cuts with the same key are in the same fold

    @model_validator(mode="after")
    def _check_fold(self) -> "FoldSettings":
        if self.left_out >= self.count:
            raise ValueError(
                f"left_out {self.left_out}: {self.count} folds are numbered 0 to {self.count - 1}"
            )
        return self

    def leaves_out(self, record: CutRecord) -> bool:
        """Return whether a cut is in the fold that is left out; AsrkdError as :func:`fold_of`."""
        return fold_of(record, self.count, self.by) == self.left_out


def fold_of(record: CutRecord, count: int, by: FoldKey) -> int:
    """Return the number of a cut's fold, 0 to ``count`` - 1, by a hash of the key ``by``.

    Raises:
        AsrkdError: the cut has no such key.
    """
    keys = {"cut": (record.id,), "recording": (record.recording,), "speaker": record.speakers}[by]
    if not keys or None in keys:
        raise AsrkdError(f"cut {record.id}: has no {by}, which decides its fold; set folds by: cut")
    text = "\n".join(sorted({str(key) for key in keys}))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") % count


def learned_by(data: Mapping[str, Any], where: str) -> Callable[[CutRecord], bool]:
    """Return a predicate for the cuts of a model's training manifest that it was trained on.

    Args:
        data: section ``data`` of the model's resolved training config.
        where: file of the config, for messages.

    Returns:
        Function of a cut's record; raises AsrkdError as :func:`fold_of`.

    Raises:
        AsrkdError: the settings of the folds are invalid.
    """
    folds = None if data.get("folds") is None else config.parse(FoldSettings, data["folds"], where)
    shortest, longest = data["min_cut"], data["max_cut"]

    def is_learned(record: CutRecord) -> bool:
        if not shortest <= record.duration <= longest:
            return False
        return folds is None or not folds.leaves_out(record)

    return is_learned
