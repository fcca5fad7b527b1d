"""Scores on disk, and finished transcripts in every form that `asrkd score` reads."""

import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random

from asrkd.scoring.units import read_unit, units
from tests.fuzz.case import CASE, OUT, Command, Target
from tests.fuzz.invocation import Outcome, invoke
from tests.fuzz.shared import IDS, SHARED, WORDS
from tests.fuzz.stores import copy_artifact

KINDS = ("hits", "substitutions", "deletions", "insertions")
COMPARE_OPTIONS = {
    "--blocks": ("speaker", "recording", "utterance"),
    "--seed": ("1", "7"),
    "--baseline": ("one", "two"),
    "--teacher": ("one", "two"),
}
SCORE_OPTIONS = {
    "--alignment": ("levenshtein", "sclite"),
    "--normalizer": ("none", "basic"),
    "--unit": ("word", "char", "mixed"),
    "--time-limit": ("5m",),
}
FORMS: dict[str, Callable[[str, str], str]] = {
    "text": lambda name, text: f"{name} {text}",
    "trn": lambda name, text: f"{text} ({name})",
    "jsonl": lambda name, text: json.dumps({"id": name, "text": text}),
}
HYPOTHESES = ("NO YES", "ON OF NO", "", "OFF ON YES")


def _write_scores(folder: Path, rng: Random) -> list[Command]:
    for name in ("one", "two"):
        copy_artifact(SHARED / name, folder / name)
    both = [str(folder / "one"), str(folder / "two")]
    return [
        rng.choice(
            (
                ["compare", *both],
                ["compare", *both, "--out", str(OUT / "compare.json")],
                ["compare", both[0]],
                ["report", *both, "--out", str(OUT / "report.html")],
                ["check", both[0]],
            )
        )
    ]


def _seal_scores(folder: Path) -> None:
    """Make score.json and the stamp add up to utterances.jsonl."""
    for own in (folder / "one", folder / "two"):
        rows = [
            json.loads(line) for line in (own / "utterances.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        counts = {kind: sum(row[kind] for row in rows) for kind in KINDS}
        for name, place in (("score.json", "counts"), ("stamp.json", None)):
            record = json.loads((own / name).read_text(encoding="utf-8"))
            (record if place is None else record[place]).update(counts)
            (own / name).write_text(json.dumps(record), encoding="utf-8")


def _write_transcripts(folder: Path, rng: Random) -> list[Command]:
    command = ["score"]
    for option, texts in (("--ref", WORDS), ("--hyp", HYPOTHESES)):
        form = rng.choice(tuple(FORMS))
        path = folder / (f"{option[2:]}.{form}" if form != "text" else option[2:])
        rows = [FORMS[form](name, text) for name, text in zip(IDS, texts, strict=True)]
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        command += [option, str(path)]
    if rng.random() < 0.4:
        (folder / "utt2spk").write_text("".join(f"{name} {name[:2]}\n" for name in IDS))
        command += ["--utt2spk", str(folder / "utt2spk")]
    return [[*command, "--out", str(OUT)]]


def inspect_score(_outcomes: Sequence[Outcome]) -> str | None:
    """Whether counts add up to the words of both texts, the rate is a number, and check finds no fault."""
    unit = read_unit(json.loads((OUT / "score.json").read_text(encoding="utf-8")), "score.json", "")
    for line in (OUT / "utterances.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
        row = json.loads(line)
        words = tuple(len(units(row[name], unit)) for name in ("reference", "hypothesis"))
        counted = [row["hits"] + row["substitutions"] + row[kind] for kind in ("deletions", "insertions")]
        if tuple(counted) != words:
            return f"{row['id']!r}: {counted} words counted, there are {words}"
    return inspect_rate(_outcomes)


def inspect_rate(_outcomes: Sequence[Outcome]) -> str | None:
    """Whether the rate is a number, and check finds no fault."""
    score = json.loads((OUT / "score.json").read_text(encoding="utf-8"))
    rates = [score[name] for name in ("wer", "cer", "mer") if name in score]
    if not rates or not all(math.isfinite(rate) and rate >= 0 for rate in rates):
        return f"the error rates are {rates}"
    checked = invoke(["check", str(OUT)])
    if checked.error is not None:
        raise checked.error
    return None if checked.status == 0 else f"check of what was made: {checked.stderr.strip()}"


def _write_nist(folder: Path, _rng: Random) -> list[Command]:
    ref, hyp = [";; a comment"], []
    for number, (name, text) in enumerate(zip(IDS, WORDS, strict=True)):
        ref.append(f"talk 1 {name[:2]} {number * 2}.00 {number * 2 + 1.5:.2f} <o,f0,male> {text}")
        for place, word in enumerate(HYPOTHESES[number].split()):
            hyp.append(f"talk 1 {number * 2 + 0.1 + 0.3 * place:.2f} 0.20 {word} 0.9{place}")
    ref[2] = ref[2].replace("OFF", "{ OFF / OF } (UH)")
    (folder / "ref.stm").write_text("\n".join(ref) + "\n")
    (folder / "hyp.ctm").write_text("\n".join(hyp) + "\n")
    return [["score", "--ref", str(folder / "ref.stm"), "--hyp", str(folder / "hyp.ctm"), "--out", str(OUT)]]


@cache
def _no_nist() -> str | None:
    """Why NIST files cannot be scored here; asked of the command itself, once."""
    folder = CASE / "in"
    folder.mkdir(parents=True, exist_ok=True)
    (command,) = _write_nist(folder, Random(0))
    outcome = invoke(command)
    return None if outcome.status == 0 else "asrkd score refuses .stm"


TARGETS = (
    Target("scores", _write_scores, seal=_seal_scores, options=COMPARE_OPTIONS),
    Target("transcripts", _write_transcripts, inspect_score, options=SCORE_OPTIONS),
    Target("nist", _write_nist, inspect_rate, options=SCORE_OPTIONS, skipped=_no_nist),
)
