"""Transducer losses: pruned against exact, in time and memory; five hypotheses against one."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from asrkd.core.installed import version
from asrkd.data.features.reading import FeatureConfig
from asrkd.models.config import EncoderDecoderArchitecture, EncoderDecoderConfig, TransducerConfig
from asrkd.models.recognizer import Recognizer, RecognizerOutput, num_parameters
from asrkd.objectives.transducer import TransducerLoss, TransducerLossConfig
from asrkd.targets.sequences import SequenceTargets, collate
from tests.bench.row import Row
from tests.bench.sequence_speed import quickest

FRAMES, TOKENS, INVENTORY, UTTERANCES = 400, 80, 500, 8  # the sizes that pruning is for
FEATURES = FeatureConfig(type="kaldi-fbank", num_features=80, frame_shift=0.01, sampling_rate=16000)
HEAD = TransducerConfig(predictor_dim=512, joiner_dim=512)
TEACHER = {"num_layers": 12, "dim": 256, "num_heads": 4, "feed_forward_dim": 1024}


def measure() -> Iterator[Row]:
    """Seconds and MiB of a loss and its gradient, each in a process of its own; steps on five hypotheses."""
    if version("k2") is not None:
        pruned, full = (_in_a_process(loss) for loss in ("pruned", "full"))
        what = f"loss of {UTTERANCES} x {FRAMES} frames, {TOKENS} tokens of {INVENTORY}"
        yield Row(f"{what}, s, pruned by exact", pruned[0], full[0], "< 1")
        yield Row(f"{what}, MiB", pruned[1], full[1], "< 1")
    for loss in ("pruned", "full") if version("k2") is not None else ("full",):
        yield _hypotheses(loss)


def _student(sizes: dict[str, int]) -> Recognizer:
    parts = EncoderDecoderConfig(encoder={"conformer": sizes}, transducer=HEAD, ctc=False)
    return Recognizer(EncoderDecoderArchitecture(parts=parts, features=FEATURES, num_tokens=INVENTORY))


def _sequences(count: int, length: int) -> SequenceTargets:
    rng = torch.Generator().manual_seed(1)
    drawn = torch.randint(1, INVENTORY, (UTTERANCES, count, length), generator=rng)
    return collate(drawn.tolist())


def _hypotheses(loss: str) -> Row:
    """A step of a student as large as a teacher: the hypotheses share its encoding."""
    student = _student(TEACHER)
    objective = TransducerLoss(TransducerLossConfig(loss=loss), student)
    features, counts = torch.randn(UTTERANCES, 1000, 80), torch.full((UTTERANCES,), 1000)

    def step(targets: SequenceTargets) -> None:
        objective(student(features, counts), targets).backward()

    five, one = _sequences(5, 50), _sequences(1, 50)
    what = f"step of {num_parameters(student) / 1e6:.1f} M, {loss}, s, 5 hypotheses by 1"
    return Row(what, *quickest(lambda: step(five), lambda: step(one)), "<= 2.5" if loss == "pruned" else "")


def _in_a_process(loss: str) -> tuple[float, float]:
    """Return seconds, and MiB of resident memory beyond what the process had before."""
    command = [sys.executable, "-m", "tests.bench.transducer_speed", loss]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, mebibytes = done.stdout.split()
    return float(seconds), float(mebibytes)


def _loss_alone(loss: str) -> tuple[float, float]:
    torch.set_num_threads(1)
    student = _student({"num_layers": 1, "dim": 256, "num_heads": 4, "feed_forward_dim": 256})
    objective = TransducerLoss(TransducerLossConfig(loss=loss), student)
    encoded = torch.randn(UTTERANCES, FRAMES, 256, requires_grad=True)
    output = RecognizerOutput(None, torch.full((UTTERANCES,), FRAMES), {}, encoded)
    small = RecognizerOutput(None, torch.full((UTTERANCES,), 9), {}, encoded[:, :9])
    objective(small, _sequences(1, 3)).backward()  # loads libraries
    before, started_at = _kibibytes("VmRSS"), time.perf_counter()
    objective(output, _sequences(1, TOKENS)).backward()
    return time.perf_counter() - started_at, (_kibibytes("VmHWM") - before) / 1024


def _kibibytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


if __name__ == "__main__":
    print(*_loss_alone(sys.argv[1]))
