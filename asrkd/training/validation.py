"""How a learner does on cuts that it is not trained on: losses and word errors."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lhotse import MonoCut

from asrkd.decoding.greedy import greedy_search
from asrkd.errors import AsrkdError
from asrkd.objectives.base import TargetSource
from asrkd.scoring.counts import corpus_counts, score_texts
from asrkd.targets.sequences import TranscriptSource, transcript
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
        self.cuts = {cut.id: cut for cut in cuts}
        self.tokens = tokens
        self.plan = plan_in_order(cuts, max_duration)
        TranscriptSource(tokens).verify(cuts)
        self.references = {cut.id: transcript(cut) for cut in cuts}

    def covered(self, terms: Sequence[Term], sources: Mapping[str, TargetSource]) -> list[Term]:
        """Those terms whose source has targets for all dev cuts."""
        covered = []
        for term in terms:
            try:
                sources[term.label].verify(list(self.cuts.values()))
            except AsrkdError:  # targets were stored for the training cuts alone
                continue
            covered.append(term)
        return covered

    @torch.no_grad()
    def __call__(
        self, learner: Learner, terms: Sequence[Term], precision: Precision, device: torch.device
    ) -> dict[str, Any]:
        """Loss of each term (per token or index) and of all, and greedy WER, with ``learner``'s weights."""
        learner.eval()
        sums = {term.label: 0.0 for term in terms}
        counts = {term.label: 0.0 for term in terms}
        hypotheses: dict[str, str] = {}
        reader = BatchReader(self.cuts, {term.label: learner.sources[term.label] for term in terms})
        taps = learner.taps(terms)
        for batch in load_batches(reader, self.plan):
            batch = batch.to(device)
            with precision.autocast():
                output = learner.student(batch.features, batch.num_frames, taps)
                for term in terms:
                    objective, targets = learner.objective(term.label), batch.targets[term.label]
                    sums[term.label] += float(objective(output, targets))
                    counts[term.label] += objective.count(targets, output.num_frames)
            found = greedy_search(output.log_probs(), output.num_frames)
            hypotheses |= {i: self.tokens.decode(ids) for i, ids in zip(batch.cut_ids, found, strict=True)}
        learner.train()
        losses = {label: sums[label] / max(counts[label], 1.0) for label in sums}
        total = corpus_counts(score_texts(self.references, hypotheses).values())
        return {
            "loss": sum(term.scale * losses[term.label] for term in terms),
            "wer": total.wer,
            "errors": total.errors,
            "words": total.num_words,
        } | {f"loss_{label}": loss for label, loss in losses.items()}
