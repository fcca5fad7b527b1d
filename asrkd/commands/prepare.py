"""Command ``prepare``: make cuts with features, and tokens, from a corpus.

Reads:   a corpus: LibriSpeech, a TSV table, a Kaldi data directory or lhotse
         manifests; or none, for the synthetic corpus ``digits``.
Writes:  in ``out``: ``prepare.json`` (the settings), ``features/``,
         ``cuts_<split>.jsonl.gz``, ``tokens.txt`` (and ``bpe.model``) from the
         transcripts of ``train``, ``quarantine.jsonl``, and ``stamp.json`` last;
         optionally ``cuts_train_small.jsonl.gz``, some speakers of ``train``.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from asrkd.commands.prepare_options import PrepareOptions, PrepareReport, SplitReport
from asrkd.core import files, output_folder
from asrkd.core.artifacts import PREPARED, QUARANTINE, STAMP
from asrkd.core.command_record import read_command, write_command
from asrkd.core.errors import AsrkdError, did_you_mean, warn
from asrkd.core.parallel import check_jobs
from asrkd.core.shared_work import SMALLER_SHARDS, Workers, WorkResult, work
from asrkd.core.shell import command, remove_folder
from asrkd.core.stopping import StopRequest
from asrkd.data import tokens
from asrkd.data.corpora import validation
from asrkd.data.corpora.corpus import FILE_KINDS, Corpus, open_corpus, read_splits
from asrkd.data.corpora.digits import DigitsOptions
from asrkd.data.corpora.validation import Quarantined, Splits
from asrkd.data.cuts import manifests
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.features import shards
from asrkd.data.features.fbank import check_sampling_rate
from asrkd.data.tokens import Tokens

__all__ = ["PrepareOptions", "PrepareReport", "SplitReport", "prepare"]

KINDS = (*FILE_KINDS, "digits")


def prepare(
    corpus: str,
    source: Path | None,
    out: Path,
    options: PrepareOptions,
    *,
    workers: Workers,
    stop: StopRequest,
) -> PrepareReport:
    """Validate a corpus item by item, compute its features and write its manifests.

    Args:
        corpus: kind of the corpus, one of ``KINDS``.
        source: folder or file of the corpus; None for ``digits``.
        out: output folder; completed if it is unfinished and has the same settings.
        options: features, tokens, speeds and limits.
        workers: number of processes, and shard of the feature shards; the result does not depend on them.
        stop: request to stop, checked between shards.

    Raises:
        AsrkdError: the corpus's lists are wrong, or ``out`` has other contents.
        QuarantineError: more items are bad than ``options.max_bad`` allows;
            no manifest and no stamp are written.
        StoppedInTime: a stop was requested; finished shards are kept.
    """
    check_jobs(workers.jobs)
    listed = _open(corpus, source, out, options)
    inventory = Tokens.load(options.token_source) if options.token_source else None
    record = _record(corpus, options, listed, inventory, out)
    names = {"listing": listed.name} if listed else {}
    if output_folder.survey(out, PREPARED, record, names) is output_folder.State.COMPLETE:
        maker = read_command(out) or command("asrkd", "prepare", corpus, "...", "--out", out)
        stamp = output_folder.read_stamp(out, maker, ["splits", "num_tokens", "warnings"])
        return replace(PrepareReport.from_stamp(out, stamp), already_complete=True)
    if listed is None:
        _check_digits(options, inventory)
        output_folder.claim(out, PREPARED, record)
    splits, bad = (
        read_splits(listed, stop) if listed else (_make_digits(out, options, workers.jobs, stop), [])
    )
    num_items = sum(map(len, splits.values())) + len(bad)
    good, rate, screened = _screen(splits, options)
    bad += screened
    small = _small_set(_speakers(good), options)
    inventory = inventory or _train_tokens(_transcripts(good), options)
    good, unspelled = validation.screen_spelling(good, inventory)
    bad += unspelled
    # All refusals come before the folder is claimed, so that it is free for the next attempt.
    output_folder.claim(out, PREPARED, record)
    write_command(out)
    computed = _compute(good, _plan(out, options, rate), workers, stop)
    if isinstance(computed, WorkResult):
        return PrepareReport(out, unfinished=computed.text())
    splits, unreadable = computed
    bad += unreadable
    validation.write_quarantine(out / QUARANTINE, bad)
    validation.check_share(bad, num_items, options.max_bad, out / QUARANTINE)
    if small:
        splits["train_small"] = splits["train"].where(lambda cut: str(cut.speakers[0]) in small)
    return _publish(out, splits, bad, inventory)


def check(corpus: str, source: Path | None, out: Path, options: PrepareOptions) -> None:
    """Check a request of :func:`prepare` without its audio: the lists of the corpus, tokens, and the folder.

    Raises:
        AsrkdError: a mistake was found.
    """
    listed = _open(corpus, source, out, options)
    inventory = Tokens.load(options.token_source) if options.token_source else None
    record = _record(corpus, options, listed, inventory, out)
    names = {"listing": listed.name} if listed else {}
    if output_folder.survey(out, PREPARED, record, names) is output_folder.State.NEW and listed is None:
        _check_digits(options, inventory)


def _open(corpus: str, source: Path | None, out: Path, options: PrepareOptions) -> Corpus | None:
    """Open the lists of a corpus; None for the synthetic one."""
    if corpus not in KINDS:
        kinds = (*KINDS, "subset")  # which is a command of its own: asrkd.commands.prepare_subset
        near = did_you_mean(corpus, kinds)
        raise AsrkdError(f"{corpus!r}: unknown corpus, expected one of {', '.join(kinds)}{near}")
    if corpus == "digits":
        if source is not None:
            raise AsrkdError(f"{source}: digits is synthetic and has no source; remove it")
        return None
    if source is None:
        remedy = command("asrkd", "prepare", corpus, "DIR", "--out", out)
        raise AsrkdError(f"{corpus}: the source is missing; give its folder: {remedy}")
    return open_corpus(corpus, source, options.subsets, needs_text=not options.untranscribed)


def _record(
    corpus: str, options: PrepareOptions, listed: Corpus | None, inventory: Tokens | None, out: Path
) -> dict[str, object]:
    """Return the settings that decide the contents of the output folder."""
    return {
        "corpus": corpus,
        "listing": _digest(listed, out) if listed else None,
        "tokens_from": inventory.identity() if inventory else None,
        **options.record(digits=corpus == "digits"),
    }


def _digest(listed: Corpus, out: Path) -> str:
    """Return the digest of a listing; without its word times for a finished folder that is older than they.

    Such a folder has the same audio, features and transcripts, so it stays of use.
    """
    timeless = listed.timeless_digest
    if timeless is None or not all((out / name).is_file() for name in (PREPARED, STAMP)):
        return listed.digest
    stored = files.read_json(out / PREPARED)
    if not isinstance(stored, dict) or stored.get("listing") != timeless:
        return listed.digest
    warn(
        f"{out}: prepared by an asrkd that read no times of words (segments), so scores of its cuts have no "
        f"latency; for them remove it, and prepare again: {remove_folder(out)}"
    )
    return timeless


def _check_digits(options: PrepareOptions, inventory: Tokens | None) -> None:
    """Raise AsrkdError if options do not fit the transcripts and speakers of digits, before they are made."""
    from asrkd.data.corpora import digits

    lines = digits.train_lines(options.digits or DigitsOptions())
    _small_set({speaker for _, speaker in lines}, options)
    inventory = inventory or _train_tokens([text for text, _ in lines], options)
    faults = [
        fault for text, _ in lines if inventory and (fault := validation.spelling_fault(inventory, text))
    ]
    if faults:
        raise AsrkdError(f"--token-source {options.token_source}: {faults[0]}")


def _make_digits(out: Path, options: PrepareOptions, jobs: int, stop: StopRequest) -> Splits:
    from asrkd.data.corpora import digits

    return digits.make(out, options.digits or DigitsOptions(), jobs=jobs, stop=stop)


def _screen(splits: Splits, options: PrepareOptions) -> tuple[Splits, int, list[Quarantined]]:
    """Split cuts by checks without audio: (good cuts, sampling rate of the features in Hz, bad items)."""
    good, bad = validation.screen_transcripts(splits, untranscribed=options.untranscribed)
    rate = options.features.sampling_rate
    if rate is None:
        good, mixed, rate = validation.screen_sampling_rates(good)
        bad += mixed
        if any(map(len, good.values())):
            check_sampling_rate(rate, f"audio of {rate} Hz")
    _check_copies(good, options.speeds)
    return good, rate, bad


def _check_copies(splits: Splits, speeds: Sequence[float]) -> None:
    """Raise AsrkdError if a speed-perturbed copy would have the id of an existing cut of ``train``."""
    names = {cut.id for cut in splits.get("train", PackedCuts()).records}
    for speed in speeds:
        for name in names:
            if f"{name}_sp{speed}" in names:
                raise AsrkdError(
                    f"--speeds {speed}: cut '{name}_sp{speed}' exists already; "
                    "the corpus has perturbed copies: remove --speeds"
                )


def _speakers(splits: Splits) -> set[str]:
    """Return the speakers of ``train``."""
    return {str(cut.speakers[0]) for cut in splits.get("train", PackedCuts()).records}


def _transcripts(splits: Splits) -> list[str]:
    """Return the transcripts of ``train`` in order, without missing ones."""
    return [text for cut in splits.get("train", PackedCuts()).records if (text := cut.texts[0])]


def _small_set(speakers: Collection[str], options: PrepareOptions) -> set[str]:
    """Return the speakers of ``train_small``: the first of ``train`` by name; maybe none."""
    wanted = options.small_speakers or 0
    if wanted > len(speakers):
        raise AsrkdError(f"--small-speakers {wanted}: train has {len(speakers)} speakers")
    return set(sorted(speakers)[:wanted])


def _train_tokens(texts: Sequence[str], options: PrepareOptions) -> Tokens | None:
    """Make tokens from the transcripts of ``train``; None without transcripts."""
    if not texts:
        return None
    if options.tokens == "bpe":
        return tokens.train_bpe(texts, options.vocab_size)
    return tokens.train_char(texts)


def _plan(out: Path, options: PrepareOptions, rate: int) -> shards.Plan:
    return shards.Plan(
        out=out,
        num_mel_bins=options.features.num_mel_bins,
        sampling_rate=rate,
        cuts_per_shard=options.cuts_per_shard,
        speeds=options.speeds,
    )


def _compute(
    splits: Splits, plan: shards.Plan, workers: Workers, stop: StopRequest
) -> tuple[Splits, list[Quarantined]] | WorkResult:
    """Compute missing shards; return all cuts with features and the bad items.

    While shards of other parts are missing, return the progress.
    """
    planned = shards.plan_shards(plan, splits)
    progress = work("features", planned, shards.compute_shard, workers, stop, idle_remedy=SMALLER_SHARDS)
    if progress.missing:
        return progress
    finished: Splits = {split: PackedCuts() for split in splits}
    bad: list[Quarantined] = []
    for shard in planned:
        cuts, set_aside = shards.read_ledger(shard)
        finished[shard.split].extend(cuts)
        bad += set_aside
    return finished, bad


def _publish(
    out: Path, splits: Splits, bad: Sequence[Quarantined], inventory: Tokens | None
) -> PrepareReport:
    """Write manifests, tokens and stamp; return the report."""
    if inventory is not None:
        inventory.save(out)
    reports = {}
    for split, cuts in splits.items():
        reports[split] = SplitReport(
            num_cuts=len(cuts),
            hours=round(sum(cut.duration for cut in cuts.records) / 3600, 6),
            num_quarantined=sum(item.split == split for item in bad),
        )
        if cuts:
            manifests.write_cuts(out / f"cuts_{split}.jsonl.gz", cuts)
    warnings = validation.shared_speakers({k: v for k, v in splits.items() if k != "train_small"})
    if inventory is not None:
        warnings += validation.spelling_warnings(splits, inventory)
        warnings += validation.reserved_warnings(splits)
    size = inventory.size if inventory else None
    report = PrepareReport(out=out, splits=reports, num_tokens=size, warnings=tuple(warnings))
    output_folder.stamp(out, report.to_stamp())
    return report
