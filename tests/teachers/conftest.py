"""Real audio, prepared as asrkd does, for teachers that read audio."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import MonoCut

from asrkd.commands.prepare import PrepareOptions, prepare
from asrkd.core.shared_work import Workers
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.features.fbank import FeatureOptions

RATE = 16000
TEXTS = ["NO", "YES", "ON OFF", "NO NO", "OFF", "YES ON"]


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder of twenty utterances, 0.6 to 1.5 s at 16 kHz, each a hum with its own offset."""
    folder = tmp_path_factory.mktemp("spoken")
    rng = np.random.default_rng(3)
    lines = ["utt_id\taudio\ttext\tspeaker\tsplit"]
    for number in range(20):
        seconds = np.arange(int(rng.integers(9600, 24000))) / RATE
        hum = np.sin(2 * np.pi * rng.uniform(100, 400) * seconds) * rng.uniform(0.01, 0.3)
        noise = rng.normal(0.02 * (number % 3), 0.01 * (1 + number % 4), len(seconds))
        soundfile.write(folder / f"u{number:02d}.wav", (hum + noise).astype(np.float32), RATE)
        split = "dev" if number % 5 == 4 else "train"
        lines.append(f"u{number:02d}\tu{number:02d}.wav\t{TEXTS[number % 6]}\ts{number % 3}\t{split}")
    (folder / "transcripts.tsv").write_text("\n".join(lines) + "\n")
    options = PrepareOptions(features=FeatureOptions(num_mel_bins=20))
    prepare("tsv", folder, folder / "data", options, workers=Workers(), stop=StopRequest())
    return folder / "data"


@pytest.fixture(scope="session")
def spoken_cuts(spoken: Path) -> list[MonoCut]:
    """The sixteen training utterances of that folder."""
    return list(read_cuts(spoken / "cuts_train.jsonl.gz"))
