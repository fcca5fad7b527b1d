"""What ``asrkd prepare`` is asked for, and what it answers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asrkd.core.errors import AsrkdError, one_line
from asrkd.data.corpora.digits import DigitsOptions
from asrkd.data.features.fbank import FeatureOptions

CUTS_PER_SHARD = 250  # about an hour of LibriSpeech, and half a minute of work on one core


@dataclass(frozen=True)
class PrepareOptions:
    """What to make of a corpus.

    Raises:
        AsrkdError: a value is out of its range; the flag is named.
    """

    features: FeatureOptions = field(default_factory=FeatureOptions)
    speeds: tuple[float, ...] = ()  # of copies of ``train``, such as 0.9 and 1.1
    tokens: str = "char"  # or "bpe"
    vocab_size: int = 500  # of a BPE model
    token_source: Path | None = None  # folder or file of an inventory to use instead of making one
    max_bad: float = 0.001  # share of items, 0..1
    untranscribed: bool = False  # whether transcripts may be missing
    cuts_per_shard: int = CUTS_PER_SHARD
    subsets: tuple[str, ...] = ()  # of LibriSpeech; empty: all that are there
    small_speakers: int | None = None  # of whom ``train_small`` consists; None: no such manifest
    digits: DigitsOptions | None = None  # of the corpus "digits"; None: its defaults

    def __post_init__(self) -> None:
        for speed in self.speeds:
            if not 0.5 <= speed <= 2 or speed == 1:
                raise AsrkdError(f"--speeds {speed:g}: expected factors between 0.5 and 2, and not 1")
        if len(set(self.speeds)) < len(self.speeds):
            raise AsrkdError(f"--speeds {', '.join(map(str, self.speeds))}: one comes twice")
        if self.tokens not in ("char", "bpe"):
            raise AsrkdError(f"--tokens {self.tokens!r}: expected char or bpe")
        if not 0 <= self.max_bad <= 1:
            raise AsrkdError(f"--max-bad {self.max_bad:g}: expected a share between 0 and 1")
        if self.small_speakers is not None and self.small_speakers < 1:
            raise AsrkdError(f"--small-speakers {self.small_speakers}: expected 1 or more")
        if self.cuts_per_shard < 1:
            raise AsrkdError(f"--cuts-per-shard {self.cuts_per_shard}: expected 1 or more")

    def record(self, *, digits: bool) -> dict[str, Any]:
        """What of this decides the contents of the output; ``digits``: of that corpus.

        ``max_bad`` does not: it may be raised to go on where a run was refused.
        """
        inventory = "given" if self.token_source else self.tokens
        return {
            "features": asdict(self.features),
            "speeds": list(self.speeds),
            "tokens": inventory,
            "vocab_size": self.vocab_size if inventory == "bpe" else None,
            "untranscribed": self.untranscribed,
            "cuts_per_shard": self.cuts_per_shard,
            "subsets": list(self.subsets),
            "small_speakers": self.small_speakers,
            "digits": _listed(asdict(self.digits or DigitsOptions())) if digits else None,
        }


@dataclass(frozen=True)
class SplitReport:
    """What became of a split."""

    num_cuts: int  # with speed-perturbed copies
    hours: float  # of audio in these cuts
    num_quarantined: int


@dataclass(frozen=True)
class PrepareReport:
    """What ``asrkd prepare`` made; its ``str`` is what the command prints."""

    out: Path
    splits: dict[str, SplitReport] = field(default_factory=dict)
    num_tokens: int | None = None  # with the blank; None: no transcripts to make tokens of
    warnings: tuple[str, ...] = ()
    already_complete: bool = False
    unfinished: str = ""  # how far it is, while other parts have not made theirs

    def __str__(self) -> str:
        if self.unfinished:
            return f"{self.out}: this part is done; {self.unfinished}"
        lines = [f"{self.out}: already complete"] if self.already_complete else []
        for split, report in self.splits.items():
            bad = f", {report.num_quarantined} quarantined" if report.num_quarantined else ""
            lines.append(f"{split}: {report.num_cuts} cuts, {report.hours:.2f} h{bad}")
        lines.append(f"tokens: {self.num_tokens or self._why_no_tokens()}")
        lines += [f"warning: {one_line(warning)}" for warning in self.warnings]
        return "\n".join(lines)

    def _why_no_tokens(self) -> str:
        if "train" in self.splits:
            return "none, as train has no transcripts"
        splits = ", ".join(self.splits)
        return f"none, as they are made of the transcripts of train, and there is only {splits}"

    def to_stamp(self) -> dict[str, Any]:
        """As JSON, without what depends on the place or the day."""
        return {
            "splits": [{"split": split, **asdict(report)} for split, report in self.splits.items()],
            "num_tokens": self.num_tokens,
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_stamp(cls, out: Path, stamp: dict[str, Any]) -> "PrepareReport":
        """The report whose :meth:`to_stamp` was written to ``out``."""
        splits = {row.pop("split"): SplitReport(**row) for row in map(dict, stamp["splits"])}
        return cls(out, splits, stamp["num_tokens"], tuple(stamp["warnings"]))


DIGITS_FLAGS = ("minutes", "dev_minutes", "test_minutes", "seed", "num_speakers", "snr_db", "gain_db")


def options_from_flags(corpus: str, flags: Mapping[str, Any]) -> PrepareOptions:
    """Options as the command line gives them; None and an empty list are flags that were not given.

    Raises:
        AsrkdError: a flag has no meaning for this corpus, or a value makes no sense.
    """
    given = {name: value for name, value in flags.items() if value is not None and value != []}
    _refuse_strays(corpus, given)
    rate = given.get("sampling_rate")
    sizes = {name: given[name] for name in DIGITS_FLAGS if name in given}
    made = DigitsOptions(**sizes, **({"sampling_rate": rate} if rate else {})) if corpus == "digits" else None
    names = ("tokens", "vocab_size", "token_source", "max_bad", "untranscribed", "cuts_per_shard")
    return PrepareOptions(
        features=FeatureOptions(given["num_mel_bins"], None if made else rate),
        speeds=tuple(given.get("speeds", ())),
        subsets=tuple(given.get("subset", ())),
        small_speakers=given.get("small_speakers"),
        digits=made,
        **{name: given[name] for name in names if name in given},
    )


def _refuse_strays(corpus: str, given: Mapping[str, Any]) -> None:
    """Raise AsrkdError at a flag that would do nothing."""
    strays = {name: "digits" for name in DIGITS_FLAGS if corpus != "digits"}
    if corpus != "librispeech":
        strays["subset"] = "librispeech"
    if given.get("tokens") != "bpe":
        strays["vocab_size"] = "--tokens bpe"
    if "token_source" in given:
        strays["tokens"] = "making tokens, not for --token-source"
    for name, meant in strays.items():
        if name in given:
            raise AsrkdError(f"--{name.replace('_', '-')}: is for {meant}; leave it out here")


def _listed(record: dict[str, Any]) -> dict[str, Any]:
    """Tuples as lists, as JSON gives them back."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in record.items()}
