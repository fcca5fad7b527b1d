"""Corpora of every kind that prepare reads, and audio files in every form."""

import gzip
import json
import math
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.fuzz import shared
from tests.fuzz.case import CASE, OUT, Command, Target
from tests.fuzz.invocation import Outcome, invoke
from tests.fuzz.odd_values import FILE_NAMES
from tests.fuzz.shared import IDS, SECONDS, SPLITS, WORDS

OPTIONS = {
    "--max-bad": ("0", "0.5", "1"),
    "--num-mel-bins": ("8", "23"),
    "--sampling-rate": ("8000", "4000"),
    "--speeds": ("0.9", "1.1"),
    "--tokens": ("char", "bpe"),
    "--vocab-size": ("20", "500"),
    "--small-speakers": ("1", "2"),
    "--cuts-per-shard": ("1", "2"),
    "--shard": ("1/1", "1/2", "2/2"),
    "--time-limit": ("5m", "00:10:00"),
    "--token-source": ("shared/prepared", "shared/bpe"),
}


def prepare(kind: str, source: Path, rng: Random) -> list[Command]:
    """The command; three in four times one that sets bad items aside."""
    command = ["prepare", kind, str(source), "--out", str(OUT), "--num-mel-bins", "8"]
    if rng.random() < 0.75:
        command += ["--max-bad", "0.8"]
    if rng.random() < 0.2:
        command += ["--untranscribed"]
    return [command]


def inspect_prepared(_outcomes: Sequence[Outcome] = ()) -> str | None:
    """What is wrong with the cuts that were made: their times, their text, what `asrkd check` finds."""
    for manifest in sorted(OUT.glob("cuts_*.jsonl.gz")):
        with gzip.open(manifest, "rt", encoding="utf-8") as stream:
            for line in stream:
                problem = _problem_of_cut(json.loads(line))
                if problem:
                    return f"{manifest.name}: {problem}"
    if not (OUT / "stamp.json").is_file():
        return None  # a part of the work
    checked = invoke(["check", str(OUT), "--deep"])
    if checked.error is not None:
        raise checked.error
    return None if checked.status == 0 else f"check of what was made: {checked.stderr.strip()}"


def _problem_of_cut(cut: dict) -> str | None:
    for name in ("duration", "start"):
        value = cut[name]
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not math.isfinite(value)
            or value < 0
        ):
            return f"cut {cut['id']!r} has {name} {value!r}"
    if cut["duration"] == 0 or cut["features"]["num_frames"] < 1:
        return f"cut {cut['id']!r} is empty"
    recording = cut["recording"]
    if cut["start"] + cut["duration"] > recording["num_samples"] / recording["sampling_rate"] + 0.001:
        return f"cut {cut['id']!r} ends after its recording"
    (supervision,) = cut["supervisions"]
    if not isinstance(supervision.get("text") or "", str):
        return f"cut {cut['id']!r} has text {supervision['text']!r}"
    return None


def _write_tsv(folder: Path, rng: Random) -> list[Command]:
    names = [f"{number}.wav" for number in range(4)]
    if rng.random() < 0.1:
        odd = rng.choice([name for name in FILE_NAMES if not set(name) & set("\n\t\\")])
        names[rng.randrange(4)] = f"{odd}.wav"
    for number, name in enumerate(names):
        shared.copy_audio(number, folder / name)
    shared.write_table(folder, names)
    if rng.random() < 0.4:  # with an optional column
        lines = (folder / "transcripts.tsv").read_text(encoding="utf-8").splitlines()
        cells = rng.choice((["duration", *map(str, SECONDS)], ["parts", "x,y", "z", "", "y"]))
        rows = [f"{line}\t{cell}" for line, cell in zip(lines, cells, strict=True)]
        (folder / "transcripts.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return prepare("tsv", folder, rng)


def _write_kaldi(folder: Path, rng: Random) -> list[Command]:
    segmented = rng.random() < 0.4
    for split in ("train", "dev"):
        own = folder / split
        own.mkdir()
        rows = [number for number in range(4) if SPLITS[number] == split]
        files = {name: [] for name in ("wav.scp", "text", "utt2spk", "segments", "utt2dur")}
        for number in rows:
            shared.copy_audio(number, own / f"{number}.wav")
            name = f"rec{number}" if segmented else IDS[number]
            files["wav.scp"].append(f"{name} {own / f'{number}.wav'}")
            files["text"].append(f"{IDS[number]} {WORDS[number]}")
            files["utt2spk"].append(f"{IDS[number]} {IDS[number][:2]}")
            files["segments"].append(f"{IDS[number]} rec{number} 0.05 {SECONDS[number] - 0.05}")
            files["utt2dur"].append(f"{IDS[number]} {SECONDS[number] - (0.1 if segmented else 0)}")
        for name in ["segments"] * (not segmented) + ["utt2dur"] * (rng.random() < 0.5):
            del files[name]
        for name, lines in files.items():
            (own / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return prepare("kaldi", folder if rng.random() < 0.8 else folder / "train", rng)


def _write_lhotse(folder: Path, names: Sequence[str], rng: Random) -> list[Command]:
    zipped = rng.random() < 0.3
    for split in ("train", "dev"):
        for name in names:
            data = (shared.SHARED / "lhotse" / f"{name}_{split}.jsonl").read_bytes()
            path = folder / f"{name}_{split}.jsonl"
            path.write_bytes(data)
            if zipped:
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(data, 1, mtime=0))
                path.unlink()
    return prepare("cuts", folder, rng)


def _write_cuts(folder: Path, rng: Random) -> list[Command]:
    return _write_lhotse(folder, ["cuts"], rng)


def _write_recordings(folder: Path, rng: Random) -> list[Command]:
    return _write_lhotse(folder, ["recordings", "supervisions"], rng)


def _write_librispeech(folder: Path, rng: Random) -> list[Command]:
    for number, subset in enumerate(("train-clean-100", "train-clean-100", "train-other-500", "dev-clean")):
        speaker, chapter = 19 + number % 2, 198
        own = folder / "LibriSpeech" / subset / str(speaker) / str(chapter)
        utt_id = f"{speaker}-{chapter}-{number:04d}"
        shared.copy_audio(number, own / f"{utt_id}.flac", "flac")
        (own / f"{speaker}-{chapter}.trans.txt").write_text(f"{utt_id} {WORDS[number]}\n", encoding="utf-8")
    return prepare("librispeech", folder, rng)


def _write_audio(folder: Path, rng: Random) -> list[Command]:
    forms = [rng.choice(shared.audio_forms()) for _ in range(4)]
    names = [f"{number}.{form}" for number, form in enumerate(forms)]
    for number, (name, form) in enumerate(zip(names, forms, strict=True)):
        shared.copy_audio(number, folder / name, form)
    table = CASE / "table"
    table.mkdir()
    shared.write_table(table, [f"../{folder.name}/{name}" for name in names])
    command = ["prepare", "tsv", str(table), "--out", str(OUT), "--num-mel-bins", "8"]
    if rng.random() < 0.5:
        command += ["--max-bad", "0.8"]
    how = rng.random()
    if how < 0.15:
        command += ["--speeds", "0.9"]
    elif how < 0.3:
        command += ["--sampling-rate", "16000"]
    return [command]


LIBRISPEECH_OPTIONS = OPTIONS | {"--subset": ("train-clean-100", "dev-clean")}
TARGETS = (
    Target("tsv", _write_tsv, inspect_prepared, options=OPTIONS, rare=(".wav",)),
    Target("kaldi", _write_kaldi, inspect_prepared, options=OPTIONS, rare=(".wav",)),
    Target("cuts", _write_cuts, inspect_prepared, options=OPTIONS),
    Target("recordings", _write_recordings, inspect_prepared, options=OPTIONS),
    Target("librispeech", _write_librispeech, inspect_prepared, options=LIBRISPEECH_OPTIONS, rare=(".flac",)),
    Target("audio", _write_audio, inspect_prepared),
)
