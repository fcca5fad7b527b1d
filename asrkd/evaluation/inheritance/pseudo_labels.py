"""Pseudo-labels: errors in the hypotheses that a student was trained on (Seq-KD), against transcripts."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asrkd.evaluation.inheritance.error_places import Confusion, by_place, confusions
from asrkd.scoring.units import WORD, Unit
from asrkd.scoring.word_alignment import align_words
from asrkd.targets.store.nbest import NbestStore


@dataclass(frozen=True)
class Example:
    """A hypothesis with a confusion."""

    cut_id: str
    rank: int  # 0 is the best
    reference: str  # the transcript
    label: str  # the hypothesis that the student was trained on


@dataclass
class PseudoLabels:
    """Statistics of the hypotheses of a store that training used."""

    num_cuts: int = 0  # with a transcript
    num_hypotheses: int = 0
    num_wrong: int = 0  # hypotheses with an error
    hypotheses: Counter[Confusion] = field(default_factory=Counter)  # hypotheses with a confusion
    examples: dict[Confusion, Example] = field(default_factory=dict)  # the first in the store


def read_pseudo_labels(
    store: Path,
    transcripts: Mapping[str, str],
    num_hypotheses: int,
    normalize: Callable[[str], str],
    alignment: str,
    unit: Unit = WORD,
) -> PseudoLabels:
    """Compare the hypotheses of a store with the transcripts of their cuts.

    Args:
        store: folder of an N-best store.
        transcripts: transcripts by cut id; other cuts of the store are left out.
        num_hypotheses: number of best hypotheses of each cut that training used.
        normalize: the normalizer of the score.
        alignment: the alignment of the score.
        unit: the unit of the score, which may differ from that of the store.

    Raises:
        AsrkdError: the store is unfinished or damaged.
    """
    labels, nbest_store = PseudoLabels(), NbestStore(store)
    for cut_id in nbest_store.index.ids():
        if cut_id not in transcripts:
            continue
        reference = normalize(transcripts[cut_id])
        labels.num_cuts += 1
        for rank, text in enumerate(nbest_store.read(cut_id).texts[:num_hypotheses]):
            _add(labels, Example(cut_id, rank, reference, normalize(text)), alignment, unit)
    return labels


def _add(labels: PseudoLabels, example: Example, alignment: str, unit: Unit) -> None:
    labels.num_hypotheses += 1
    if example.reference == example.label:
        return
    labels.num_wrong += 1
    pairs = align_words(example.reference, example.label, alignment, unit)
    for confusion in confusions([by_place(pairs)]):
        labels.hypotheses[confusion] += 1  # once, however often the hypothesis has it
        labels.examples.setdefault(confusion, example)
