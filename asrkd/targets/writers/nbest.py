"""Asking recognizers for N-best lists of a shard of cuts: what worker processes run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lhotse import MonoCut
from torch import Tensor

from asrkd.core.task_monitor import TaskMonitor
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
from asrkd.targets.store.shard_parts import Answers, make_shard
from asrkd.targets.store.shards import Shard, ShardWriter
from asrkd.teachers.folds import FoldTeachers
from asrkd.teachers.noisy_copies import Noise, noisy_copies


@dataclass(frozen=True)
class DecodingConditions:
    """Who hears what, where it is not one teacher and clean audio."""

    noise: Noise | None = None  # mixed into what is heard
    folds: FoldTeachers | None = None  # in place of a single teacher

    @property
    def read(self) -> Callable[[MonoCut], Tensor]:
        """What gives the (T, F) features that are heard of a cut."""
        return load_features if self.noise is None else noisy_copies(self.noise)

    def verify(self, model: LoadedModel) -> None:
        """Raise AsrkdError unless the noise has the features that the teacher reads."""
        if self.noise is not None:
            self.noise.verify(model.architecture.features)

    def contract(self) -> dict[str, Any]:
        """What a store says of it."""
        noise = {} if self.noise is None else {"noise": self.noise.contract()}
        return noise if self.folds is None else noise | {"teacher": self.folds.contract()}

    def by_teacher(self, teacher: Path, cuts: Sequence[MonoCut]) -> Iterator[tuple[Path, list[MonoCut]]]:
        """The cuts that each teacher is asked about, in their order; ``teacher`` all, without folds."""
        if self.folds is None:
            yield teacher, list(cuts)
            return
        teachers = [self.folds.of(record) for record in records(cuts)]
        for path in self.folds.paths:
            own = [cut for cut, asked in zip(cuts, teachers, strict=True) if asked == path]
            if own:
                yield path, own


PLAIN = DecodingConditions()


def nbest_writer(
    search: str, options: SearchOptions, hearing: DecodingConditions = PLAIN, unit: Unit = WORD
) -> ShardWriter:
    """What writes a shard of N-best lists; importable by worker processes."""
    return partial(_write, search=search, options=options, hearing=hearing, unit=unit)


def _write(
    shard: Shard,
    monitor: TaskMonitor,
    search: str,
    options: SearchOptions,
    hearing: DecodingConditions,
    unit: Unit,
) -> None:
    by_teacher = list(hearing.by_teacher(shard.model, shard.cuts))
    order = [cut.id for _, cuts in by_teacher for cut in cuts]

    def ask(first: int) -> Answers:
        for teacher, cuts in by_teacher:
            if left := cuts[first:]:
                model = load_model(teacher, shard.device)
                for cut, final in recognize_by_cut(model, left, search, options, hearing.read):
                    lines = [nbest_line(own, _listed(model, own, found, unit)) for own, found in final]
                    yield cut.duration, lines
            first = max(0, first - len(cuts))

    def write(lines: Sequence[bytes]) -> None:
        by_id = dict(zip(order, lines, strict=True))
        ordered = [by_id[record.id] for record in records(shard.cuts)]
        write_nbest_lines(shard.path, shard.request, shard.cuts, ordered)

    make_shard(shard, ask, write, monitor)


def _listed(model: LoadedModel, cut: MonoCut, found: Sequence[Hypothesis], unit: Unit) -> Nbest:
    """What is stored of a cut's hypotheses, with their errors in the unit if it has a transcript."""
    by_text: dict[str, Hypothesis] = {}  # two token sequences of one text: the likelier stands for both
    for hypothesis in found:
        by_text.setdefault(model.tokens.decode(list(hypothesis.tokens)), hypothesis)
    reference = counted_reference([supervision.text for supervision in cut.supervisions])
    listed = [
        StoredHypothesis(
            text=text,
            log_prob=own.log_prob,
            tokens=own.tokens,
            parts=own.parts,
            errors=word_errors(reference, text, unit),
            score=None if own.score == own.log_prob else own.score,
        )
        for text, own in by_text.items()
    ]
    return Nbest(tuple(listed), None if reference is None else len(units(reference, unit)))
