"""How a learner does on cuts that it is not trained on: losses and word errors."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lhotse import MonoCut

from asrkd.cut_records import records
from asrkd.decoding.greedy import greedy_search
from asrkd.errors import AsrkdError
from asrkd.objectives.base import TargetSource
from asrkd.objectives.ctc import Ctc
from asrkd.packed_cuts import CutsById
from asrkd.scoring.counts import corpus_counts, score_texts
from asrkd.targets.sequences import TRANSCRIPT, TranscriptSource, reference
from asrkd.tokens import Tokens
from asrkd.training.learner import Learner, Term
from asrkd.training.loader import BatchReader, load_batches
from asrkd.training.plan import plan_in_order
from asrkd.training.precision import Precision


class Validator:
    """Dev cuts, and what can be measured on them."""

    def __init__(self, cuts: Sequence[MonoCut], tokens: Tokens, max_duration: float) -> None:
        """Prepare batches.

        Args:
            cuts: of the dev set, with transcripts.
            tokens: of the student.
            max_duration: seconds of audio in a batch.

        Raises:
            AsrkdError: a cut has no transcript, or one with unknown symbols.
        """
        self.cuts, self.by_id, self.tokens = cuts, CutsById(cuts), tokens
        self.plan = plan_in_order(records(cuts), max_duration)
        self.transcripts = TranscriptSource(tokens)
        self.transcripts.verify(cuts)
        self.references = {record.id: reference(record) for record in records(cuts)}

    def covered(self, terms: Sequence[Term], sources: Mapping[str, TargetSource]) -> list[Term]:
        """Those terms whose source has targets for all dev cuts."""
        covered = []
        for term in terms:
            try:
                sources[term.label].verify(self.cuts)
            except AsrkdError:  # targets were stored for the training cuts alone
                continue
            covered.append(term)
        return covered

    @torch.no_grad()
    def __call__(
        self, learner: Learner, terms: Sequence[Term], precision: Precision, device: torch.device
    ) -> dict[str, Any]:
        """Losses and greedy WER with ``learner``'s weights.

        Returns:
            ``loss``, CTC of the transcripts in nats per token, the same
            quantity for every system; ``loss_<label>`` of each term, per token
            or index; ``wer``, ``errors`` and ``words``.
        """
        learner.eval()
        sums = dict.fromkeys([TRANSCRIPT, *(term.label for term in terms)], 0.0)
        counts = dict.fromkeys(sums, 0.0)
        objectives = {TRANSCRIPT: Ctc()} | {term.label: learner.objective(term.label) for term in terms}
        sources = {TRANSCRIPT: self.transcripts} | {term.label: learner.sources[term.label] for term in terms}
        hypotheses: dict[str, str] = {}
        for batch in load_batches(BatchReader(self.by_id, sources), self.plan.batches):
            batch = batch.to(device)
            with precision.autocast():
                output = learner.student(batch.features, batch.num_frames, learner.taps(terms))
                for label, objective in objectives.items():
                    sums[label] += float(objective(output, batch.targets[label]))
                    counts[label] += objective.count(batch.targets[label], output.num_frames)
            found = greedy_search(output.log_probs(), output.num_frames)
            hypotheses |= {i: self.tokens.decode(ids) for i, ids in zip(batch.cut_ids, found, strict=True)}
        learner.train()
        losses = {label: sums[label] / max(counts[label], 1.0) for label in sums}
        return self._summary(losses, hypotheses)

    def _summary(self, losses: dict[str, float], hypotheses: dict[str, str]) -> dict[str, Any]:
        total = corpus_counts(score_texts(self.references, hypotheses).values())
        words = {"wer": total.wer, "errors": total.errors, "words": total.num_words}
        return {"loss": losses.pop(TRANSCRIPT), **words} | {f"loss_{k}": loss for k, loss in losses.items()}
