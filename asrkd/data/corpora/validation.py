"""What is wrong with an item, and what becomes of those that are: set aside, never dropped.

Every item is examined. A bad one goes to the quarantine list with its cause;
more of them than the user allows is exit status 3.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

from lhotse import MonoCut

from asrkd.core import files
from asrkd.core.errors import AsrkdError, QuarantineError
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import CutRecord
from asrkd.data.tokens import SPECIAL_PIECES, Tokens

Splits = dict[str, PackedCuts]

TRAINED_ON = ("train", "train_small")  # the second is part of the first


@dataclass(frozen=True)
class Quarantined:
    """An item set aside: which, why, and its audio file."""

    id: str
    split: str
    cause: str  # one line
    path: str


def transcript_fault(text: str | None, *, untranscribed: bool = False) -> str | None:
    """What makes a transcript unfit to learn from or to score against; None if nothing does.

    Args:
        text: what was said, as the corpus has it.
        untranscribed: whether a missing or empty transcript is fine.
    """
    if not text or text.isspace():
        return None if untranscribed else "empty transcript (--untranscribed allows it)"
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs"):
            return f"control character U+{ord(character):04X} in the transcript"
    if not any(character.isalnum() for character in text):
        return f"no letter or digit in the transcript {text[:40]!r}"
    return None


def screen_transcripts(splits: Splits, *, untranscribed: bool) -> tuple[Splits, list[Quarantined]]:
    """Part cuts by their transcripts: (good ones by split, bad ones).

    Args:
        splits: cuts with one supervision each.
        untranscribed: whether a missing or empty transcript is fine.
    """

    def fault(_split: str, cut: CutRecord) -> str | None:
        (text,) = cut.texts
        return transcript_fault(text, untranscribed=untranscribed)

    return _screen(splits, fault)


def screen_spelling(splits: Splits, tokens: Tokens | None) -> tuple[Splits, list[Quarantined]]:
    """Part cuts by whether ``tokens`` spell their transcripts, those of ``train``: (good, bad).

    A BPE model that was made from these transcripts spells most, but not what it reserves for itself.
    """

    def fault(split: str, cut: CutRecord) -> str | None:
        (text,) = cut.texts
        return spelling_fault(tokens, text or "") if tokens is not None and split == "train" else None

    return _screen(splits, fault)


def spelling_fault(tokens: Tokens, text: str) -> str | None:
    """What keeps ``tokens`` from spelling ``text``; None if nothing does."""
    try:
        tokens.encode(text)
    except AsrkdError as error:
        return str(error)
    return None


def screen_sampling_rates(splits: Splits) -> tuple[Splits, list[Quarantined], int]:
    """Part cuts by whether they have the sampling rate of most: (good, bad, that rate in Hz).

    Of equally frequent rates the higher one counts as that of most.
    """
    count = Counter(cut.sampling_rate for cuts in splits.values() for cut in cuts.records)
    common = max(count, key=lambda rate: (count[rate], rate), default=0)

    def fault(_split: str, cut: CutRecord) -> str | None:
        if cut.sampling_rate == common:
            return None
        rates = f"sampling rate {cut.sampling_rate} Hz, most have {common} Hz"
        return f"{rates} (--sampling-rate resamples all to one)"

    return *_screen(splits, fault), common


def _screen(
    splits: Splits, fault: Callable[[str, CutRecord], str | None]
) -> tuple[Splits, list[Quarantined]]:
    """Part cuts by whether they have a fault."""
    good: Splits = {}
    bad: list[Quarantined] = []
    for split, cuts in splits.items():
        causes = {row: cause for row, cut in enumerate(cuts.records) if (cause := fault(split, cut))}
        bad += [quarantine(cuts[row], split, cause) for row, cause in causes.items()]
        ids = {cuts.records[row].id for row in causes}
        good[split] = cuts.where(lambda cut, ids=ids: cut.id not in ids)  # type: ignore[misc]
    return good, bad


def quarantine(cut: MonoCut, split: str, cause: str) -> Quarantined:
    """Set a cut aside."""
    path = cut.recording.sources[0].source if cut.recording is not None else ""
    return Quarantined(cut.id, split, cause, str(path))


def write_quarantine(path: Path, bad: Iterable[Quarantined]) -> None:
    """Write the list, a JSON object a line; an empty file where nothing is bad."""
    files.write_jsonl(path, map(asdict, bad))


def check_share(bad: Sequence[Quarantined], num_items: int, max_bad: float, listed_in: Path) -> None:
    """Refuse to go on with too many bad items.

    Args:
        bad: what was set aside.
        num_items: how many items there were in all.
        max_bad: share of items that may be bad, 0..1.
        listed_in: where the user can read them all.

    Raises:
        QuarantineError: more than that share is bad, or none is good; the first is named.
    """
    if len(bad) <= max_bad * num_items and len(bad) < num_items:
        return
    raise QuarantineError(
        f"{len(bad)} of {num_items} items are bad, more than --max-bad {max_bad:g} allows; the first: "
        f"{bad[0].id} ({bad[0].path}): {bad[0].cause}; all are in {listed_in}"
    )


def shared_speakers(splits: Mapping[str, PackedCuts]) -> list[str]:
    """A warning for each pair of splits that have speakers in common."""
    speakers = {
        split: {cut.speakers[0] for cut in cuts.records} - {None, ""} for split, cuts in splits.items()
    }
    warnings = []
    for one, other in combinations(speakers, 2):
        both = sorted(str(speaker) for speaker in speakers[one] & speakers[other])
        if both:
            names = ", ".join(both[:3]) + (", ..." if len(both) > 3 else "")
            warnings.append(f"{len(both)} speakers of {other} are in {one}: {names}")
    return warnings


def reserved_warnings(splits: Mapping[str, PackedCuts]) -> list[str]:
    """A warning for each split with transcripts that hold the name of a special token."""
    warnings = []
    for split, cuts in splits.items():
        found = [cut for cut in cuts.records if any(name in (cut.texts[0] or "") for name in SPECIAL_PIECES)]
        if found:
            warnings.append(
                f"{len(found)} transcripts of {split} hold {' or '.join(SPECIAL_PIECES)}, which are spelled "
                f"letter by letter, e.g. {found[0].id}: {(found[0].texts[0] or '')[:60]!r}; "
                "take them out where nobody said them"
            )
    return warnings


def spelling_warnings(splits: Mapping[str, PackedCuts], tokens: Tokens) -> list[str]:
    """A warning for each split with transcripts that ``tokens`` cannot spell; ``train`` was screened."""
    warnings = []
    for split, cuts in splits.items():
        if split in TRAINED_ON:
            continue
        faults = [fault for cut in cuts.records if (fault := spelling_fault(tokens, cut.texts[0] or ""))]
        if faults:
            warnings.append(f"{len(faults)} transcripts of {split} cannot be spelled: {faults[0]}")
    return warnings
