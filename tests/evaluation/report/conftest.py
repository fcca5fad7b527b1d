"""Three scored systems that never were trained, a tone for each utterance, hostile words among them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import AudioSource, MonoCut, Recording, SupervisionSegment

from asrkd.core import files
from asrkd.data.cuts.manifests import write_cuts
from asrkd.scoring.score_corpus import ReferenceUtterance, Rules, score_utterances
from asrkd.scoring.score_files import write_score

HOSTILE = "</script><script>window.broken=1</script> <img/src=x/onerror=window.broken=2> \"'&amp; \u2028"
RATE = 8000
SECONDS = 1.5

# id: reference, teacher, baseline, student.
TEXTS = {
    "all-right": ("call nine one one", "call nine one one", "call nine one one", "call nine one one"),
    "hostile": (f"say {HOSTILE} now", f"say {HOSTILE} now", f"say {HOSTILE}", f"{HOSTILE} now now"),
    "inherited": ("call nine now", "call five now", "call nine now", "call five now"),
    "inherited-too": ("nine nine", "nine five", "nine nine", "five five"),
    "mended": ("turn it off", "turn it off", "turn at of", "turn it off"),
    "new": ("open the door", "open the door", "open the door", "open a door please"),
    "shared": ("good night", "good knight", "good knight", "good knight"),
    "silence": ("", "", "uh", ""),
}
SPEAKERS = ("ann", "bob", "eve")


@dataclass(frozen=True)
class Scored:
    """Where they are."""

    exp: Path
    cuts: Path

    @property
    def models(self) -> list[Path]:
        return [self.exp / name for name in ("teacher", "baseline", "student")]


def write_scored(folder: Path, hypotheses: Mapping[str, str], seed: int = 1) -> None:
    """A model folder without weights, with its score."""
    experiment = {
        "seed": seed,
        "data": {"train": "data/cuts_train.jsonl.gz", "dev": "data/cuts_dev.jsonl.gz"},
    }
    files.write_json(folder / "config.json", {"experiment": experiment | {"phases": []}})
    log = [
        {"kind": "train", "step": 10, "loss": 2.0},
        {"kind": "validation", "step": 10, "loss": 1.5, "wer": 0.9},
        {"kind": "train", "step": 20, "loss": 1.0},
        {"kind": "validation", "step": 20, "loss": 1.2, "wer": 0.5},
        {"kind": "end", "step": 20, "train_seconds": 3.0},
    ]
    files.write_jsonl(folder / "metrics.jsonl", log)
    utterances = [
        ReferenceUtterance(utt_id, texts[0], utt_id, SPEAKERS[number % 3], SECONDS + number / 10)
        for number, (utt_id, texts) in enumerate(TEXTS.items())
    ]
    scored = score_utterances(utterances, hypotheses, Rules())
    described = {"set": "test", "params": 1000 + len(folder.name), "search": None}
    write_score(folder / "score-test", described, scored)


def make_cut(folder: Path, number: int, utt_id: str, text: str) -> MonoCut:
    """A cut with a tone of its own and a signal-to-noise ratio."""
    num_samples = int((SECONDS + number / 10) * RATE)
    tone = 0.3 * np.sin(2 * np.pi * (300 + 50 * number) * np.arange(num_samples) / RATE)
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / f"{utt_id}.wav", tone, RATE, subtype="PCM_16")
    source = AudioSource("file", [0], f"audio/{utt_id}.wav")
    recording = Recording(utt_id, [source], RATE, num_samples, num_samples / RATE)
    cut = MonoCut(utt_id, 0.0, recording.duration, 0, recording=recording)
    cut.supervisions = [
        SupervisionSegment(
            utt_id, utt_id, 0.0, recording.duration, 0, text,
            speaker=SPEAKERS[number % 3], custom={"snr_db": 10.0 + 3 * number},
        )
    ]  # fmt: skip
    return cut


@pytest.fixture
def scored(tmp_path: Path) -> Scored:
    """Scores of teacher, baseline and student, beside each other, and the cuts that they are of."""
    for place, name in enumerate(("teacher", "baseline", "student"), start=1):
        write_scored(tmp_path / "exp" / name, {utt_id: texts[place] for utt_id, texts in TEXTS.items()})
    cuts = [
        make_cut(tmp_path / "data/audio", number, utt_id, texts[0])
        for number, (utt_id, texts) in enumerate(TEXTS.items())
    ]
    write_cuts(tmp_path / "data/cuts_test.jsonl.gz", cuts)
    return Scored(tmp_path / "exp", tmp_path / "data/cuts_test.jsonl.gz")
