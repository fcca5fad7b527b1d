"""How a learner does on cuts that it is not trained on: losses and errors, in words or another unit."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from lhotse import MonoCut

from asrkd.core.device import Precision
from asrkd.data.cuts.packed import CutsById
from asrkd.data.cuts.records import records, reference
from asrkd.data.tokens import Tokens
from asrkd.decoding.greedy import quick_tokens
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.objectives.attention import Attention, AttentionConfig
from asrkd.objectives.base import Objective
from asrkd.objectives.ctc import Ctc
from asrkd.objectives.too_short import TooShort
from asrkd.scoring.counts import corpus_counts, score_texts
from asrkd.scoring.units import WORD, Unit
from asrkd.targets.sources.base import TargetSource
from asrkd.targets.sources.nbest_settings import TRANSCRIPT
from asrkd.targets.sources.text import Sentences, TextSource
from asrkd.targets.sources.transcripts import TranscriptSource
from asrkd.training.dev_targets import DevTargets, dev_targets
from asrkd.training.learner import Learner, LossTerm
from asrkd.training.loader import BatchReader, Item, load_batches
from asrkd.training.plan import EpochPlan, plan_in_order

_TEXT = "text"


class TextValidator:
    """Dev sentences, and what can be measured on them."""

    def __init__(self, sentences: Sentences, tokens: Tokens, max_tokens: float) -> None:
        """Prepare batches of at most ``max_tokens``, padding counted."""
        self.by_id, self.source = CutsById(sentences), TextSource(tokens)
        self.plan = plan_in_order(sentences.records, max_tokens)
        self.num_tokens = sum(sentence.duration for sentence in sentences.records)  # with ends
        self.num_words = sentences.num_words + len(sentences)  # likewise

    def dev_targets(self, terms: Sequence[LossTerm], sources: Mapping[str, TargetSource]) -> list[DevTargets]:
        """None: the loss on dev sentences is what is measured anyway."""
        return []

    @torch.no_grad()
    def __call__(
        self, learner: Learner, terms: Sequence[DevTargets], precision: Precision, device: torch.device
    ) -> dict[str, Any]:
        """Perplexity with ``learner``'s weights.

        Returns:
            ``loss`` in nats a token, ends of sentences counted; ``perplexity``,
            its exponential; ``word_perplexity``, the same of words and ends,
            which can be compared between inventories of tokens.
        """
        learner.eval()
        objective = Attention(AttentionConfig(), learner.student).eval()
        measured = Losses(learner, precision, device, {_TEXT: objective}, {_TEXT: self.source})
        for _ in measured.over(self.by_id, self.plan):
            pass
        learner.train()
        loss = measured.means()[_TEXT]
        by_word = loss * self.num_tokens / self.num_words
        return {"loss": loss, "perplexity": _exp(loss), "word_perplexity": _exp(by_word)}


def _exp(nats: float) -> float:
    return math.exp(min(nats, 700.0))  # a model before its first step may be worse than floats can say


class Validator:
    """Dev cuts, what can be measured on them, and which of them a CTC loss drops (``dropped``)."""

    def __init__(
        self, cuts: Sequence[MonoCut], tokens: Tokens, max_duration: float, unit: Unit = WORD
    ) -> None:
        """Prepare batches.

        Args:
            cuts: of the dev set, with transcripts.
            tokens: of the student.
            max_duration: seconds of audio in a batch.
            unit: what errors are counted in.

        Raises:
            AsrkdError: a cut has no transcript, or one with unknown symbols.
        """
        self.cuts, self.by_id, self.tokens = cuts, CutsById(cuts), tokens
        self.max_duration, self.unit = max_duration, unit
        self.plan = plan_in_order(records(cuts), max_duration)
        self.transcripts, self.dropped = TranscriptSource(tokens), TooShort()
        self.transcripts.examine(cuts, self.dropped.add)
        self.references = {record.id: reference(record) for record in records(cuts)}

    def dev_targets(self, terms: Sequence[LossTerm], sources: Mapping[str, TargetSource]) -> list[DevTargets]:
        """Those terms that there are targets of dev cuts for, or of some; their teacher may be asked."""
        return list(dev_targets(terms, sources, self.cuts))

    @torch.no_grad()
    def __call__(
        self, learner: Learner, terms: Sequence[DevTargets], precision: Precision, device: torch.device
    ) -> dict[str, Any]:
        """Losses and greedy error rate with ``learner``'s weights.

        Returns:
            ``loss`` of the transcripts in nats per token, by CTC, or of a
            student without a CTC head by attention: the same quantity for
            every system of a kind; ``loss_<label>`` of each term, over what its
            objective counts; ``wer``, ``errors`` and ``words``, which keep their names where
            a ``unit`` beside them says that they are of characters or mixed units.
        """
        learner.eval()
        student = learner.student
        assert isinstance(student, Recognizer)
        reference_loss = Ctc() if student.has_ctc else Attention(AttentionConfig(), student).eval()
        whole = [own for own in terms if own.cuts is None]
        objectives: dict[str, Objective] = {TRANSCRIPT: reference_loss} | {
            t.term.label: learner.objective(t.term.label) for t in whole
        }
        sources = {TRANSCRIPT: self.transcripts} | {own.term.label: own.source for own in whole}
        hypotheses: dict[str, str] = {}
        measured = Losses(learner, precision, device, objectives, sources)
        for cut_ids, output in measured.over(self.by_id, self.plan):
            found = quick_tokens(student, output)
            hypotheses |= {i: self.tokens.decode(ids) for i, ids in zip(cut_ids, found, strict=True)}
        losses = measured.means()
        for label, source, cuts in [(t.term.label, t.source, t.cuts) for t in terms if t.cuts is not None]:
            some = Losses(learner, precision, device, {label: learner.objective(label)}, {label: source})
            for _ in some.over(self.by_id, plan_in_order(records(cuts), self.max_duration)):
                pass
            losses |= some.means()
        learner.train()
        return self._summary(losses, hypotheses)

    def _summary(self, losses: dict[str, float], hypotheses: dict[str, str]) -> dict[str, Any]:
        total = corpus_counts(score_texts(self.references, hypotheses, self.unit).values())
        words = {"wer": total.wer, "errors": total.errors, "words": total.num_words}
        unit = {} if self.unit == WORD else {"unit": self.unit.name}
        return {"loss": losses.pop(TRANSCRIPT), **words, **unit} | {
            f"loss_{k}": loss for k, loss in losses.items()
        }


class Losses:
    """The losses of a student, summed up in passes over cuts."""

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
        """The cut ids and the student's output of each batch, once its losses are counted.

        Raises:
            AsrkdError: features or targets of a cut cannot be read.
        """
        taps = {tap for objective in self.objectives.values() for tap in objective.taps()}
        for batch in load_batches(BatchReader(cuts, self.sources), plan.batches):
            batch = batch.to(self.device, self.sources)
            with self.precision.autocast():
                output = self.learner.student(batch.features, batch.num_frames, taps)
                for label, objective in self.objectives.items():
                    self._sums[label] += float(objective(output, batch.targets[label]))
                    self._counts[label] += objective.count(batch.targets[label], output.num_frames)
            yield batch.cut_ids, output

    def means(self) -> dict[str, float]:
        """The mean of each loss over what its objective counts.

        In nats per token or index; of a distance, per value or frame and without a unit.
        """
        return {label: self._sums[label] / max(self._counts[label], 1.0) for label in self._sums}
