"""Scoring beside the tools whose counts it gives: jiwer, and sclite where it is installed."""

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jiwer

from asrkd.core import files
from asrkd.scoring.score_corpus import ReferenceUtterance, Rules, score_utterances
from asrkd.scoring.transcript_files import trn_lines
from tests.bench.row import Row

UTTERANCES = 20_000  # of twenty words, one in ten wrong, of five hundred speakers


def measure() -> Iterator[Row]:
    """Utterances per second: words and characters are aligned and counted; sclite reads files of words."""
    said, heard = corpus()
    speakers = {utt_id: utt_id.split("-")[0] for utt_id in said}
    utterances = [ReferenceUtterance(utt_id, text, utt_id, speakers[utt_id]) for utt_id, text in said.items()]

    def by_jiwer() -> None:
        texts = list(said.values()), [heard[utt_id] for utt_id in said]
        jiwer.process_words(*texts)
        jiwer.process_characters(*texts)

    ours = rate(lambda: score_utterances(utterances, heard, Rules()))
    yield Row("score, utterances/s, beside jiwer", ours, rate(by_jiwer), ">= 1")
    if not shutil.which("sctk"):
        return
    with tempfile.TemporaryDirectory() as name:
        files.write_lines(Path(name, "ref.trn"), trn_lines(said, speakers))
        files.write_lines(Path(name, "hyp.trn"), trn_lines(heard, speakers))
        command = "sctk sclite -r ref.trn trn -h hyp.trn trn -i spu_id -s -o sum -O .".split()
        theirs = rate(lambda: subprocess.run(command, cwd=name, check=True, capture_output=True))
    yield Row(
        "score --alignment sclite, beside sclite",
        rate(lambda: score_utterances(utterances, heard, Rules("sclite"))),
        theirs,
        ">= 1",
    )


def corpus() -> tuple[dict[str, str], dict[str, str]]:
    """References and hypotheses by utterance id."""
    rng = random.Random(1)
    words = [f"w{number}" for number in range(10_000)]
    said, heard = {}, {}
    for number in range(UTTERANCES):
        utt_id = f"s{number % 500:03d}-{number:06d}"
        reference = rng.choices(words, k=rng.randint(5, 35))
        hypothesis = [
            rng.choice(words) if rng.random() < 0.05 else word for word in reference if rng.random() > 0.05
        ]
        said[utt_id], heard[utt_id] = " ".join(reference), " ".join(hypothesis)
    return said, heard


def rate(work: Callable[[], object]) -> float:
    """Utterances per second, of three rounds the quickest."""
    times = []
    for _ in range(3):
        started_at = time.perf_counter()
        work()
        times.append(time.perf_counter() - started_at)
    return UTTERANCES / min(times)
