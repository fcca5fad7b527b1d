"""Options and report of ``asrkd prepare``."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asrkd.core.errors import AsrkdError, one_line
from asrkd.data.corpora.digits import DigitsOptions
from asrkd.data.features.fbank import FeatureOptions

CUTS_PER_SHARD = 250  # about an hour of LibriSpeech, and half a minute of work on one core


@dataclass(frozen=True)
class PrepareOptions:
    """Options of a prepared corpus: features, tokens, speeds, limits.

    Raises:
        AsrkdError: a value is out of range.
    """

    features: FeatureOptions = field(default_factory=FeatureOptions)
    speeds: tuple[float, ...] = ()  # speeds of perturbed copies of ``train``, such as 0.9 and 1.1
    tokens: str = "char"  # kind of tokens, "char" or "bpe"
    vocab_size: int = 500  # size of a BPE model
    token_source: Path | None = None  # folder or file of existing tokens
    max_bad: float = 0.001  # largest share of bad items, 0 to 1
    untranscribed: bool = False  # allow cuts without transcript
    cuts_per_shard: int = CUTS_PER_SHARD
    subsets: tuple[str, ...] = ()  # subsets of LibriSpeech; empty: all present
    small_speakers: int | None = None  # speakers of ``train_small``; None: no such manifest
    digits: DigitsOptions | None = None  # options of the corpus ``digits``; None: the defaults

    def __post_init__(self) -> None:
        for speed in self.speeds:
            if not 0.5 <= speed <= 2 or speed == 1:
                raise AsrkdError(f"--speeds {speed:g}: expected factors between 0.5 and 2, and not 1")
        if len(set(self.speeds)) < len(self.speeds):
            raise AsrkdError(f"--speeds {', '.join(map(str, self.speeds))}: duplicate speed")
        if self.tokens not in ("char", "bpe"):
            raise AsrkdError(f"--tokens {self.tokens!r}: expected char or bpe")
        if not 0 <= self.max_bad <= 1:
            raise AsrkdError(f"--max-bad {self.max_bad:g}: expected a share between 0 and 1")
        if self.small_speakers is not None and self.small_speakers < 1:
            raise AsrkdError(f"--small-speakers {self.small_speakers}: expected 1 or more")
        if self.cuts_per_shard < 1:
            raise AsrkdError(f"--cuts-per-shard {self.cuts_per_shard}: expected 1 or more")

    def record(self, *, digits: bool) -> dict[str, Any]:
        """Return the options that decide the contents of the output, as JSON.

        The record lacks ``max_bad``, which may be raised to continue a refused run.

        Args:
            digits: whether the corpus is ``digits``.
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
    """Report of a split."""

    num_cuts: int  # cuts, speed-perturbed copies included
    hours: float  # hours of audio in these cuts
    num_quarantined: int


@dataclass(frozen=True)
class PrepareReport:
    """Report of ``asrkd prepare``; its ``str`` is the output of the command."""

    out: Path
    splits: dict[str, SplitReport] = field(default_factory=dict)
    num_tokens: int | None = None  # number of tokens with the blank; None: no transcripts
    warnings: tuple[str, ...] = ()
    already_complete: bool = False
    unfinished: str = ""  # progress, while shards of other parts are missing

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
        return f"none, as they come from the transcripts of train, and there is only {splits}"

    def to_stamp(self) -> dict[str, Any]:
        """Return the report as JSON, without paths and times."""
        return {
            "splits": [{"split": split, **asdict(report)} for split, report in self.splits.items()],
            "num_tokens": self.num_tokens,
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_stamp(cls, out: Path, stamp: dict[str, Any]) -> "PrepareReport":
        """Read the report whose :meth:`to_stamp` was written to ``out``."""
        splits = {row.pop("split"): SplitReport(**row) for row in map(dict, stamp["splits"])}
        return cls(out, splits, stamp["num_tokens"], tuple(stamp["warnings"]))


DIGITS_FLAGS = ("minutes", "dev_minutes", "test_minutes", "seed", "num_speakers", "snr_db", "gain_db")


@dataclass(frozen=True)
class PrepareFlags:
    """Options of the command line, named as there; None and () where they are missing."""

    num_mel_bins: int = 80
    sampling_rate: int | None = None  # Hz
    speeds: tuple[float, ...] = ()
    tokens: str | None = None
    vocab_size: int | None = None
    token_source: Path | None = None
    untranscribed: bool = False
    max_bad: float = 0.001
    small_speakers: int | None = None
    subset: tuple[str, ...] = ()
    minutes: float | None = None
    dev_minutes: float | None = None
    test_minutes: float | None = None
    seed: int | None = None
    num_speakers: int | None = None
    snr_db: tuple[float, float] | None = None
    gain_db: tuple[float, float] | None = None
    transcripts: str | None = None
    without: Path | None = None
    by: str | None = None
    hold_out: int | None = None
    cuts_per_shard: int = CUTS_PER_SHARD

    def options(self, corpus: str) -> PrepareOptions:
        """Build the options of :func:`asrkd.commands.prepare.prepare`.

        Raises:
            AsrkdError: a flag has no effect for this corpus, or a value is out of range.
        """
        self._refuse_unused(corpus)
        digits = None
        if corpus == "digits":
            digits = DigitsOptions(**self._present(*DIGITS_FLAGS, "sampling_rate"))
        return PrepareOptions(
            features=FeatureOptions(self.num_mel_bins, None if digits else self.sampling_rate),
            speeds=self.speeds,
            token_source=self.token_source,
            max_bad=self.max_bad,
            untranscribed=self.untranscribed,
            cuts_per_shard=self.cuts_per_shard,
            subsets=self.subset,
            small_speakers=self.small_speakers,
            digits=digits,
            **self._present("tokens", "vocab_size"),
        )

    def _present(self, *names: str) -> dict[str, Any]:
        """Return the flags that are not None."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def _refuse_unused(self, corpus: str) -> None:
        """Raise AsrkdError at a flag that would have no effect."""
        unused = {name: "digits" for name in DIGITS_FLAGS if corpus != "digits"}
        unused |= dict.fromkeys(("transcripts", "without", "by", "hold_out"), "subset")
        if corpus != "librispeech":
            unused["subset"] = "librispeech"
        if self.tokens != "bpe":
            unused["vocab_size"] = "--tokens bpe"
        if self.token_source is not None:
            unused["tokens"] = "new tokens, not for --token-source"
        for name, use in unused.items():
            if getattr(self, name) not in (None, ()):
                raise AsrkdError(f"--{name.replace('_', '-')}: is for {use}; remove it here")


def _listed(record: dict[str, Any]) -> dict[str, Any]:
    """Return tuples as lists, as in JSON."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in record.items()}
