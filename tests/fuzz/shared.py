"""Artifacts that valid inputs are made of: a tiny corpus, model, stores and scores, made once by asrkd.

Everything lies in one folder of the working directory, so that all paths in inputs are relative.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from lhotse import CutSet, Recording, RecordingSet, SupervisionSegment, SupervisionSet

from tests.fuzz.invocation import invoke

RATE = 8000
SHARED = Path("shared")
WORDS = ("NO YES", "ON OFF NO", "YES", "OFF ON YES NO")
SECONDS = (0.6, 0.8, 0.5, 1.0)
SPLITS = ("train", "train", "train", "dev")
IDS = ("s0-a", "s1-b", "s0-c", "s2-d")
AUDIO_FORMS = ("wav", "flac", "ogg", "mp3", "sph")

MODEL = "{num_layers: 1, dim: 8, num_heads: 2, feed_forward_dim: 8, kernel_size: 5, front_end_channels: 2}"
CONFIG = f"""data:
  train: shared/prepared/cuts_train.jsonl.gz
  dev: shared/prepared/cuts_dev.jsonl.gz
  tokens: shared/prepared
  max_duration: 6
  num_buckets: 2
model: {MODEL}
optim:
  lr: 0.01
  warmup_steps: 3
  betas: [0.9, 0.98]
augment:
  specaugment: {{num_frame_masks: 1, frame_mask_size: 4, num_feature_masks: 1, feature_mask_size: 2}}
validation: {{every_steps: 1}}
averaging: {{every_steps: 1, last: 1}}
stores: {{lists: shared/nbest, bytes: shared/codebook, states: shared/hidden, tokens: shared/posterior}}
phases:
  - steps: 1
    objectives: [ctc]
seed: 1
"""


def make_shared(workspace: Path) -> None:
    """Make ``shared/`` in ``workspace``, which must be the working directory.

    Raises:
        RuntimeError: a command refused a valid input.
    """
    assert Path.cwd() == workspace.resolve()
    SHARED.mkdir()
    _audio(SHARED / "audio")
    table = SHARED / "corpus"
    table.mkdir()
    write_table(table, [f"../audio/{number}.wav" for number in range(4)])
    _lhotse(SHARED / "lhotse")
    (SHARED / "config.yaml").write_text(CONFIG)
    train, dev = (f"shared/prepared/cuts_{split}.jsonl.gz" for split in ("train", "dev"))
    ask = ("--teacher", "shared/model", "--cuts", train)
    bpe = ("--tokens", "bpe", "--vocab-size", "14")
    for command in (
        ("prepare", "tsv", "shared/corpus", "--out", "shared/prepared", "--num-mel-bins", "8"),
        ("prepare", "tsv", "shared/corpus", "--out", "shared/bpe", "--num-mel-bins", "8", *bpe),
        ("train", "shared/config.yaml", "--out", "shared/model", "--threads", "1"),
        ("distill", "nbest", *ask, "--beam", "3", "--nbest", "3", "--cuts-per-shard", "2",
         "--out", "shared/nbest"),
        ("distill", "quantizer", *ask, "--layer", "1", "--codebooks", "2", "--entries", "4", "--steps", "3",
         "--out", "shared/quantizer"),
        ("distill", "codebook", *ask, "--quantizer", "shared/quantizer", "--cuts-per-shard", "2",
         "--out", "shared/codebook"),
        ("distill", "hidden", *ask, "--layer", "1", "--tap", "before_norm", "--cuts-per-shard", "2",
         "--out", "shared/hidden"),
        ("distill", "posterior", *ask, "--top-k", "all", "--out", "shared/posterior"),
        ("distill", "posterior", *ask, "--top-k", "2", "--cuts-per-shard", "2", "--out", "shared/likeliest"),
        ("score", "shared/model", "--cuts", train, "--out", "shared/model/score-test"),
        ("targets", "export", "shared/codebook", "--cuts", train, "--out", "shared/exported"),
    ):  # fmt: skip
        require_success(command)
    ref, hyp = SHARED / "ref", SHARED / "hyp"
    ref.write_text("".join(f"{name} {text}\n" for name, text in zip(IDS, WORDS, strict=True)))
    for name, texts in (("one", WORDS[::-1]), ("two", ("NO", "ON OFF", "YES YES", "OFF ON"))):
        hyp.write_text("".join(f"{own} {text}\n" for own, text in zip(IDS, texts, strict=True)))
        speakers = SHARED / "utt2spk"
        speakers.write_text("".join(f"{own} {own[:2]}\n" for own in IDS))
        score = ("score", "--ref", str(ref), "--hyp", str(hyp), "--utt2spk", str(speakers))
        require_success((*score, "--out", f"shared/{name}"))


def require_success(command: Sequence[str]) -> None:
    """Run a command on a valid input; RuntimeError if it is not taken."""
    outcome = invoke(command, 300)
    if outcome.error is not None:
        raise RuntimeError(f"asrkd {' '.join(command)}: raised {outcome.error!r}") from outcome.error
    if outcome.status != 0:
        raise RuntimeError(f"asrkd {' '.join(command)}: exit {outcome.status}: {outcome.stderr}")


def write_table(folder: Path, audio: Sequence[str]) -> None:
    """A TSV corpus of four utterances in ``folder``."""
    rows = ["utt_id\taudio\tspeaker\ttext\tsplit"]
    for utt_id, path, text, split in zip(IDS, audio, WORDS, SPLITS, strict=True):
        rows.append(f"{utt_id}\t{path}\t{utt_id[:2]}\t{text}\t{split}")
    (folder / "transcripts.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def copy_audio(number: int, path: Path, form: str = "wav") -> None:
    """Put the audio of utterance ``number`` at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(SHARED / "audio" / f"{number}.{form}", path)


def audio_forms() -> list[str]:
    """The forms of :data:`AUDIO_FORMS` that soundfile can write here."""
    return [form for form in AUDIO_FORMS if _format(form) in soundfile.available_formats()]


def _format(form: str) -> str:
    return {"sph": "NIST"}.get(form, form.upper())


def _audio(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, seconds in enumerate(SECONDS):
        samples = 0.1 * rng.standard_normal(int(seconds * RATE))
        for form in audio_forms():
            path, subtype = folder / f"{number}.{form}", {"sph": "PCM_16"}.get(form)
            soundfile.write(str(path), samples, RATE, format=_format(form), subtype=subtype)


def _lhotse(folder: Path) -> None:
    """Manifests of recordings, supervisions and cuts, as lhotse writes them."""
    folder.mkdir()
    for split in ("train", "dev"):
        rows = [number for number in range(4) if SPLITS[number] == split]
        recordings = [
            Recording.from_file(SHARED / "audio" / f"{n}.wav", recording_id=f"rec{n}") for n in rows
        ]
        supervisions = [
            SupervisionSegment(IDS[n], f"rec{n}", 0.05, SECONDS[n] - 0.1, 0, WORDS[n], "English", IDS[n][:2])
            for n in rows
        ]
        RecordingSet.from_recordings(recordings).to_file(folder / f"recordings_{split}.jsonl")
        SupervisionSet.from_segments(supervisions).to_file(folder / f"supervisions_{split}.jsonl")
        cuts = CutSet.from_manifests(
            RecordingSet.from_recordings(recordings), SupervisionSet.from_segments(supervisions)
        ).trim_to_supervisions()
        cuts.to_file(folder / f"cuts_{split}.jsonl")
