"""Writer of shards of N-best lists, run by worker processes, with the conditions of decoding."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lhotse import MonoCut
from torch import Tensor

from asrkd.data.cuts.records import records
from asrkd.data.features.reading import load_features
from asrkd.decoding import Hypothesis, SearchOptions
from asrkd.decoding.recognition import recognize_by_cut
from asrkd.models.directory import load_model
from asrkd.models.recognizer import LoadedModel
from asrkd.scoring.units import WORD, Unit, units
from asrkd.targets.nbest import Nbest, StoredHypothesis
from asrkd.targets.sources.nbest_word_errors import counted_reference, word_errors
from asrkd.targets.store.nbest import nbest_line, write_nbest_lines
from asrkd.targets.store.shard_parts import SerializedOutputs, make_shard
from asrkd.targets.store.shards import Shard, ShardWriter
from asrkd.teachers.folds import FoldTeachers
from asrkd.teachers.noisy_copies import Noise, noisy_copies


@dataclass(frozen=True)
class DecodingConditions:
    """Decoding conditions: added noise, and teachers by fold."""

    noise: Noise | None = None  # mixed into each cut
    folds: FoldTeachers | None = None  # in place of a single teacher

    @property
    def read(self) -> Callable[[MonoCut], Tensor]:
        """Function that reads the (T, F) features of a cut, T frames of F features."""
        return load_features if self.noise is None else noisy_copies(self.noise)

    def verify(self, model: LoadedModel) -> None:
        """Raise AsrkdError unless the noise has the features that the teacher reads."""
        if self.noise is not None:
            self.noise.verify(model.architecture.features)

    def contract(self) -> dict[str, Any]:
        """Return the fields of a store's contract."""
        noise = {} if self.noise is None else {"noise": self.noise.contract()}
        return noise if self.folds is None else noise | {"teacher": self.folds.contract()}

    def by_teacher(self, teacher: Path, cuts: Sequence[MonoCut]) -> Iterator[tuple[Path, list[MonoCut]]]:
        """Yield the cuts that each teacher decodes, in their order; without folds, all for ``teacher``."""
        if self.folds is None:
            yield teacher, list(cuts)
            return
        teachers = [self.folds.of(record) for record in records(cuts)]
        for path in self.folds.paths:
            decoded = [cut for cut, of_fold in zip(cuts, teachers, strict=True) if of_fold == path]
            if decoded:
                yield path, decoded


PLAIN = DecodingConditions()


def nbest_writer(
    search: str, options: SearchOptions, conditions: DecodingConditions = PLAIN, unit: Unit = WORD
) -> ShardWriter:
    """Return a writer of N-best lists, with errors in ``unit``."""
    compute = partial(_lines, search=search, options=options, conditions=conditions, unit=unit)
    return partial(make_shard, compute=compute, write=partial(_write, conditions=conditions))


def _lines(
    shard: Shard, first: int, search: str, options: SearchOptions, conditions: DecodingConditions, unit: Unit
) -> SerializedOutputs:
    """Yield the lines of the cuts from number ``first`` on, the cuts of each teacher together."""
    for teacher, cuts in conditions.by_teacher(shard.model, shard.cuts):
        if left := cuts[first:]:
            model = load_model(teacher, shard.device)
            for cut, complete in recognize_by_cut(model, left, search, options, conditions.read):
                lines = [nbest_line(done, _nbest(model, done, hyps, unit)) for done, hyps in complete]
                yield cut.duration, lines
        first = max(0, first - len(cuts))


def _write(shard: Shard, lines: Sequence[bytes], conditions: DecodingConditions) -> None:
    """Write the lines in the order of the shard's cuts."""
    order = [cut.id for _, cuts in conditions.by_teacher(shard.model, shard.cuts) for cut in cuts]
    by_id = dict(zip(order, lines, strict=True))
    ordered = [by_id[record.id] for record in records(shard.cuts)]
    write_nbest_lines(shard.path, shard.request, shard.cuts, ordered)


def _nbest(model: LoadedModel, cut: MonoCut, hypotheses: Sequence[Hypothesis], unit: Unit) -> Nbest:
    """Build the stored list of a cut, with errors in the unit if the cut has a transcript."""
    by_text: dict[str, Hypothesis] = {}  # of several token sequences of one text, the best
    for hypothesis in hypotheses:
        by_text.setdefault(model.tokens.decode(list(hypothesis.tokens)), hypothesis)
    reference = counted_reference([supervision.text for supervision in cut.supervisions])
    listed = [
        StoredHypothesis(
            text=text,
            log_prob=best.log_prob,
            tokens=best.tokens,
            parts=best.parts,
            errors=word_errors(reference, text, unit),
            score=None if best.score == best.log_prob else best.score,
        )
        for text, best in by_text.items()
    ]
    return Nbest(tuple(listed), None if reference is None else len(units(reference, unit)))
