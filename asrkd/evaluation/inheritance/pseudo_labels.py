"""The errors in the hypotheses that a student was trained on (Seq-KD), against what was really said."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asrkd.evaluation.inheritance.confusions import Confusion, confusions
from asrkd.evaluation.inheritance.error_places import lay_along
from asrkd.scoring.units import WORD, Unit
from asrkd.scoring.word_alignment import align_words
from asrkd.targets.store.nbest import NbestStore


@dataclass(frozen=True)
class Example:
    """A hypothesis that holds a confusion."""

    cut_id: str
    rank: int  # 0 is the best
    said: str
    label: str  # what the student was told was said


@dataclass
class PseudoLabels:
    """What a store's hypotheses hold, those that training used."""

    num_cuts: int = 0  # with a transcript to hold them against
    num_hypotheses: int = 0
    num_wrong: int = 0  # hypotheses with an error
    hypotheses: Counter[Confusion] = field(default_factory=Counter)  # that hold it, once or more often
    examples: dict[Confusion, Example] = field(default_factory=dict)  # the first in the store


def read_pseudo_labels(
    store: Path,
    transcripts: Mapping[str, str],
    num_hypotheses: int,
    normalize: Callable[[str], str],
    alignment: str,
    unit: Unit = WORD,
) -> PseudoLabels:
    """Compare a store's hypotheses with the transcripts of their cuts.

    Args:
        store: of N-best lists.
        transcripts: by cut id; cuts of the store that are not in it are left out.
        num_hypotheses: of each cut, the best so many: those that training used.
        normalize: what was done to the texts of the score that this is for.
        alignment: likewise.
        unit: likewise; not that of the store, whose hypotheses are compared anew.

    Raises:
        AsrkdError: the store is unfinished or damaged.
    """
    found, opened = PseudoLabels(), NbestStore(store)
    for cut_id in opened.index.ids():
        if cut_id not in transcripts:
            continue
        said = normalize(transcripts[cut_id])
        found.num_cuts += 1
        for rank, text in enumerate(opened.read(cut_id).texts[:num_hypotheses]):
            _add(found, Example(cut_id, rank, said, normalize(text)), alignment, unit)
    return found


def _add(found: PseudoLabels, example: Example, alignment: str, unit: Unit) -> None:
    found.num_hypotheses += 1
    if example.said == example.label:
        return
    found.num_wrong += 1
    pairs = align_words(example.said, example.label, alignment, unit)
    for confusion in confusions([lay_along(pairs)]):
        found.hypotheses[confusion] += 1  # once, however often the hypothesis holds it
        found.examples.setdefault(confusion, example)
