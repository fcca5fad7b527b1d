"""Validation of a corpus item by item, and the quarantine of bad items.

Every item is checked. A bad one goes to the quarantine list with its cause;
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
from asrkd.core.errors import AsrkdError, QuarantineError, counted
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import CutRecord
from asrkd.data.tokens import SPECIAL_PIECES, Tokens

Splits = dict[str, PackedCuts]

TRAINED_ON = ("train", "train_small")  # the second is part of the first


@dataclass(frozen=True)
class Quarantined:
    """Item of the quarantine: its id, cause, and audio file."""

    id: str
    split: str
    cause: str  # one line
    path: str


def transcript_fault(text: str | None, *, untranscribed: bool = False) -> str | None:
    """Return the fault of a transcript for training and scoring; None if it has none.

    Args:
        text: transcript of the corpus.
        untranscribed: whether a missing or empty transcript is allowed.
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
    """Split cuts by whether their transcripts are good: (good by split, bad).

    Args:
        splits: cuts with one supervision each.
        untranscribed: whether a missing or empty transcript is allowed.
    """

    def fault(_split: str, cut: CutRecord) -> str | None:
        (text,) = cut.texts
        return transcript_fault(text, untranscribed=untranscribed)

    return _screen(splits, fault)


def screen_spelling(splits: Splits, tokens: Tokens | None) -> tuple[Splits, list[Quarantined]]:
    """Split cuts of ``train`` by whether ``tokens`` spell their transcripts: (good, bad).

    A BPE model of these transcripts spells all but the symbols that it reserves.
    """

    def fault(split: str, cut: CutRecord) -> str | None:
        (text,) = cut.texts
        return spelling_fault(tokens, text or "") if tokens is not None and split == "train" else None

    return _screen(splits, fault)


def spelling_fault(tokens: Tokens, text: str) -> str | None:
    """Return the cause why ``tokens`` cannot spell ``text``; None if they can."""
    try:
        tokens.encode(text)
    except AsrkdError as error:
        return str(error)
    return None


def screen_sampling_rates(splits: Splits) -> tuple[Splits, list[Quarantined], int]:
    """Split cuts by whether they have the most common sampling rate: (good, bad, that rate in Hz).

    If several rates are equally common, the highest is taken.
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
    """Split cuts by whether they have a fault: (good, bad)."""
    good: Splits = {}
    bad: list[Quarantined] = []
    for split, cuts in splits.items():
        causes = {row: cause for row, cut in enumerate(cuts.records) if (cause := fault(split, cut))}
        bad += [quarantine(cuts[row], split, cause) for row, cause in causes.items()]
        ids = {cuts.records[row].id for row in causes}
        good[split] = cuts.where(lambda cut, ids=ids: cut.id not in ids)  # type: ignore[misc]
    return good, bad


def quarantine(cut: MonoCut, split: str, cause: str) -> Quarantined:
    """Make the quarantine item of a cut."""
    path = cut.recording.sources[0].source if cut.recording is not None else ""
    return Quarantined(cut.id, split, cause, str(path))


def write_quarantine(path: Path, bad: Iterable[Quarantined]) -> None:
    """Write the quarantine list, one JSON object per line; an empty file if no item is bad."""
    files.write_jsonl(path, map(asdict, bad))


def check_share(bad: Sequence[Quarantined], num_items: int, max_bad: float, listed_in: Path) -> None:
    """Check the share of bad items.

    Args:
        bad: items of the quarantine.
        num_items: number of all items.
        max_bad: allowed share of bad items, 0..1.
        listed_in: file of the quarantine list, for the message.

    Raises:
        QuarantineError: a larger share is bad, or no item is good; the message has the first bad item.
    """
    if len(bad) <= max_bad * num_items and len(bad) < num_items:
        return
    share = f"{len(bad)} of {counted(num_items, 'item')} {'is' if len(bad) == 1 else 'are'} bad"
    raise QuarantineError(
        f"{share}, more than --max-bad {max_bad:g} allows; the first: "
        f"{bad[0].id} ({bad[0].path}): {bad[0].cause}; all are in {listed_in}"
    )


def shared_speakers(splits: Mapping[str, PackedCuts]) -> list[str]:
    """Return a warning for each pair of splits with common speakers."""
    speakers = {
        split: {cut.speakers[0] for cut in cuts.records} - {None, ""} for split, cuts in splits.items()
    }
    warnings = []
    for first, second in combinations(speakers, 2):
        both = sorted(str(speaker) for speaker in speakers[first] & speakers[second])
        if both:
            names = ", ".join(both[:3]) + (", ..." if len(both) > 3 else "")
            be = "is" if len(both) == 1 else "are"
            warnings.append(f"{counted(len(both), 'speaker')} of {second} {be} also in {first}: {names}")
    return warnings


def reserved_warnings(splits: Mapping[str, PackedCuts]) -> list[str]:
    """Return a warning for each split with transcripts that hold the name of a special token."""
    warnings = []
    for split, cuts in splits.items():
        affected = [
            cut for cut in cuts.records if any(name in (cut.texts[0] or "") for name in SPECIAL_PIECES)
        ]
        if affected:
            number = counted(len(affected), "transcript")
            warnings.append(
                f"{number} of {split} {'holds' if len(affected) == 1 else 'hold'} "
                f"{' or '.join(SPECIAL_PIECES)}, spelled letter by letter, e.g. {affected[0].id}: "
                f"{(affected[0].texts[0] or '')[:60]!r}; remove such names unless they are spoken"
            )
    return warnings


def spelling_warnings(splits: Mapping[str, PackedCuts], tokens: Tokens) -> list[str]:
    """Return a warning for each split but ``train`` with transcripts that ``tokens`` cannot spell."""
    warnings = []
    for split, cuts in splits.items():
        if split in TRAINED_ON:
            continue
        faults = [fault for cut in cuts.records if (fault := spelling_fault(tokens, cut.texts[0] or ""))]
        if faults:
            number = counted(len(faults), "transcript")
            warnings.append(f"{number} of {split} cannot be spelled: {faults[0]}")
    return warnings
