"""Validation of a learner on dev cuts or sentences: losses, error rates, perplexity."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from lhotse import MonoCut

from asrkd.core.device import Precision
from asrkd.core.errors import DivergedError
from asrkd.data.cuts.packed import CutsById
from asrkd.data.cuts.records import CutRecord, records, reference
from asrkd.data.tokens import Tokens
from asrkd.decoding.greedy import greedy_tokens
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.attention import Attention, AttentionConfig
from asrkd.objectives.base import Objective
from asrkd.objectives.ctc import Ctc
from asrkd.objectives.too_short import TooShort
from asrkd.objectives.transducer import TransducerLoss, TransducerLossConfig
from asrkd.scoring.counts import Counts, corpus_counts, score_texts
from asrkd.scoring.units import WORD, Unit
from asrkd.targets.sources.base import TargetSource
from asrkd.targets.sources.settings import TRANSCRIPT
from asrkd.targets.sources.text import Sentences, TextSource, TranscriptSource
from asrkd.training.dev_targets import DevTargets, dev_targets
from asrkd.training.learner import Learner, LossTerm
from asrkd.training.loader import BatchReader, Item, load_batches
from asrkd.training.plan import EpochPlan, plan_in_order
from asrkd.training.plateau import unigram_loss

_TEXT = "text"


class TextValidator:
    """Validator of language models: perplexity on dev sentences."""

    def __init__(self, sentences: Sentences, tokens: Tokens, max_tokens: float) -> None:
        """Plan the batches of dev sentences, of at most ``max_tokens`` with padding."""
        self.by_id, self.source = CutsById(sentences), TextSource(tokens)
        self.plan = plan_in_order(sentences.records, max_tokens)
        self.num_tokens = sum(sentence.duration for sentence in sentences.records)  # with ends
        self.num_words = sentences.num_words + len(sentences)  # with ends

    def dev_targets(self, terms: Sequence[LossTerm], sources: Mapping[str, TargetSource]) -> list[DevTargets]:
        """Return an empty list: every validation measures the loss on dev sentences."""
        return []

    @torch.no_grad()
    def __call__(
        self, learner: Learner, terms: Sequence[DevTargets], precision: Precision, device: torch.device
    ) -> dict[str, Any]:
        """Measure the perplexity of ``learner``'s student.

        Returns:
            ``loss`` in nats per token, with ends of sentences; ``perplexity``,
            its exponential; ``word_perplexity``, the same per word and end,
            which is comparable between token inventories.
        """
        learner.eval()
        objective = Attention(AttentionConfig(), learner.student).eval()
        losses = Losses(learner, precision, device, {_TEXT: objective}, {_TEXT: self.source})
        for _ in losses.over(self.by_id, self.plan):
            pass
        learner.train()
        loss = losses.means()[_TEXT]
        by_word = loss * self.num_tokens / self.num_words
        return {"loss": loss, "perplexity": _exp(loss), "word_perplexity": _exp(by_word)}


def _exp(nats: float) -> float:
    return math.exp(min(nats, 700.0))  # before the first step the exponential may overflow


class Validator:
    """Validator of recognizers: losses and errors on dev cuts.

    ``dropped`` counts the cuts that a CTC loss drops; ``unigram`` is the loss in nats per token that the
    token frequencies of the transcripts alone give.
    """

    def __init__(
        self,
        cuts: Sequence[MonoCut],
        tokens: Tokens,
        max_duration: float,
        unit: Unit = WORD,
        sets: Mapping[str, Collection[str]] | None = None,
        *,
        subsampling: int,
    ) -> None:
        """Plan the dev batches, and check that each cut has a transcript.

        Args:
            cuts: the cuts of the dev set, with transcripts.
            tokens: the student's tokens.
            max_duration: seconds of audio in a batch.
            unit: the unit of errors.
            sets: ids of the cuts of each set whose errors are recorded too, by its name.
            subsampling: feature frames in an encoder frame of the student.

        Raises:
            AsrkdError: a cut has no transcript, or one with unknown symbols.
        """
        self.cuts, self.by_id, self.tokens = cuts, CutsById(cuts), tokens
        self.max_duration, self.unit, self.sets = max_duration, unit, sets or {}
        self.plan = plan_in_order(records(cuts), max_duration)
        self.transcripts, self.dropped = TranscriptSource(tokens), TooShort(subsampling)
        token_counts: Counter[int] = Counter()

        def count(cut: CutRecord, token_ids: Sequence[int]) -> None:
            self.dropped.add(cut, token_ids)
            token_counts.update(token_ids)

        self.transcripts.examine(cuts, count)
        self.unigram = unigram_loss(token_counts)
        self.references = {record.id: reference(record) for record in records(cuts)}

    def dev_targets(self, terms: Sequence[LossTerm], sources: Mapping[str, TargetSource]) -> list[DevTargets]:
        """Return the terms that have targets of dev cuts; teachers may compute those of some cuts."""
        return list(dev_targets(terms, sources, self.cuts))

    @torch.no_grad()
    def __call__(
        self, learner: Learner, terms: Sequence[DevTargets], precision: Precision, device: torch.device
    ) -> dict[str, Any]:
        """Measure losses and the error rate of greedy search.

        Returns:
            ``loss`` of the transcripts in nats per token, by CTC, or without a
            CTC head by the transducer or by attention: the same quantity for
            every system of a kind; ``loss_<label>`` of each term, per unit that
            its objective counts; ``wer``, ``errors`` and ``words``, in words
            unless ``unit`` names another unit; the same of each set, as
            ``wer_<set>``, ``errors_<set>`` and ``words_<set>``.
        """
        learner.eval()
        student = learner.student
        assert isinstance(student, Recognizer)
        reference_loss = _transcript_loss(student)
        whole = [t for t in terms if t.cuts is None]
        objectives: dict[str, Objective] = {TRANSCRIPT: reference_loss} | {
            t.term.label: learner.objective(t.term.label) for t in whole
        }
        sources = {TRANSCRIPT: self.transcripts} | {t.term.label: t.source for t in whole}
        hypotheses: dict[str, str] = {}
        measured = Losses(learner, precision, device, objectives, sources)
        for cut_ids, output in measured.over(self.by_id, self.plan):
            token_ids = greedy_tokens(student, output)
            hypotheses |= {i: self.tokens.decode(ids) for i, ids in zip(cut_ids, token_ids, strict=True)}
        losses = measured.means()
        for label, source, cuts in [(t.term.label, t.source, t.cuts) for t in terms if t.cuts is not None]:
            some = Losses(learner, precision, device, {label: learner.objective(label)}, {label: source})
            for _ in some.over(self.by_id, plan_in_order(records(cuts), self.max_duration)):
                pass
            losses |= some.means()
        learner.train()
        return self._summary(losses, hypotheses)

    def _summary(self, losses: dict[str, float], hypotheses: dict[str, str]) -> dict[str, Any]:
        counts = score_texts(self.references, hypotheses, self.unit)
        words = _rates(counts.values(), "")
        for name, ids in self.sets.items():
            words |= _rates([counts[cut_id] for cut_id in ids], f"_{name}")
        unit = {} if self.unit == WORD else {"unit": self.unit.name}
        return {"loss": losses.pop(TRANSCRIPT), **words, **unit} | {
            f"loss_{k}": loss for k, loss in losses.items()
        }


def _transcript_loss(student: Recognizer) -> Objective:
    """Return the loss of transcripts: CTC's, or without a CTC head the transducer's or attention's."""
    if student.has_ctc:
        return Ctc(student.encoder.subsampling)
    if student.has_transducer:
        return TransducerLoss(TransducerLossConfig(loss="full"), student).eval()
    return Attention(AttentionConfig(), student).eval()


def _rates(counts: Iterable[Counts], suffix: str) -> dict[str, float]:
    """Return the errors of utterances, pooled, under names with a suffix."""
    total = corpus_counts(counts)
    return {f"wer{suffix}": total.wer, f"errors{suffix}": total.errors, f"words{suffix}": total.num_words}


class Losses:
    """Losses of a student, summed over passes over cuts."""

    def __init__(
        self,
        learner: Learner,
        precision: Precision,
        device: torch.device,
        objectives: Mapping[str, Objective],
        sources: Mapping[str, TargetSource],
    ) -> None:
        self.learner, self.precision, self.device = learner, precision, device
        self.objectives, self.sources = objectives, sources
        self._sums = dict.fromkeys(objectives, 0.0)
        self._counts = dict.fromkeys(objectives, 0.0)

    def over(
        self, cuts: Mapping[str, Item], plan: EpochPlan
    ) -> Iterator[tuple[tuple[str, ...], RecognizerOutput]]:
        """Add the losses of each batch, and yield its cut ids and the student's output.

        Raises:
            AsrkdError: features or targets of a cut cannot be read.
            DivergedError: a loss is NaN.
        """
        for batch in load_batches(BatchReader(cuts, self.sources), plan.batches):
            batch = batch.to(self.device, self.sources)
            with self.precision.autocast():
                output = self.learner.outputs(batch, self.objectives.values())
                for label, objective in self.objectives.items():
                    self._sums[label] += float(objective(output, batch.targets[label]))
                    self._counts[label] += objective.count(batch.targets[label], output.num_frames)
            self._refuse_nan()
            yield batch.cut_ids, output

    def _refuse_nan(self) -> None:
        """Raise DivergedError if a loss is NaN, before a search of the outputs fails or decodes nonsense."""
        for label, total in self._sums.items():
            if math.isnan(total):
                raise DivergedError(
                    f"the {label} loss on the dev set is NaN; lower optim.lr or raise optim.warmup_steps"
                )

    def means(self) -> dict[str, float]:
        """Return each loss, averaged over the units that its objective counts.

        In nats per token or index; a distance is per value or frame, without a unit.
        """
        return {label: self._sums[label] / max(self._counts[label], 1.0) for label in self._sums}
