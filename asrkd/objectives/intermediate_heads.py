"""CTC heads on layers below the last one, for training alone.

Source: Yoon et al., "Inter-KD: Intermediate Knowledge Distillation for CTC-Based Automatic
Speech Recognition", arXiv:2211.15075: CTC and softmax-level distillation on heads of
intermediate layers too. Objectives that name the same layer share its head, so that ``ctc:
{layer: 2}`` and ``softmax: {layer: 2}`` train one classifier. Heads are optimized and
checkpointed with the student, and never exported.

Notation: N utterances, T encoder frames, D size of a layer, V tokens.
"""

from collections.abc import Collection
from dataclasses import replace

from torch import nn

from asrkd.models.encoder import Tap
from asrkd.models.recognizer import Recognizer, RecognizerOutput, Student


class IntermediateHeads(nn.ModuleDict):
    """A linear map from each tapped layer of a student to the scores of tokens."""

    def __init__(self, student: Student, taps: Collection[Tap]) -> None:
        """Create the heads of ``taps`` with random values; without taps nothing is drawn."""
        super().__init__()
        if isinstance(student, Recognizer):
            num_tokens = student.architecture.num_tokens
            for tap in sorted(taps):
                self[_name(tap)] = nn.Linear(student.encoder.layer_dim(tap), num_tokens)

    def outputs(self, output: RecognizerOutput, taps: Collection[Tap]) -> RecognizerOutput:
        """Return a student's output with the (N, T, V) logits of the heads of ``taps``."""
        if not taps:
            return output
        logits = {tap: self[_name(tap)](output.tapped[tap]) for tap in taps}
        return replace(output, intermediate=logits)


def _name(tap: Tap) -> str:
    return f"{tap.layer}-{tap.place}"
