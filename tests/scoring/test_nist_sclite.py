"""stm and ctm against the real sclite, on generated pairs of files (tests/scoring/nist_pairs.py).

The reference implementation is Debian's package sctk (`sudo apt install sctk`).
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from asrkd.scoring.counts import Counts, corpus_counts
from asrkd.scoring.nist import score_segments
from asrkd.scoring.nist_rules import parse_nist_rules
from asrkd.scoring.score_corpus import CorpusScore
from asrkd.scoring.score_files import write_score
from asrkd.scoring.timed_corpus import read_timed_corpus
from tests.scoring.nist_pairs import MODES, by_asrkd, by_sclite, compare, generate, joined

COUNTED = re.compile(r"^id: \((.*)\)\nScores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)$", re.MULTILINE)


def scored(folder: Path, mode: str) -> CorpusScore:
    rules = parse_nist_rules(*MODES[mode])
    return score_segments(read_timed_corpus(folder / "x.stm", folder / "x.ctm", rules), rules)


def test_each_segment_has_sclites_four_counts(need, tmp_path):
    """Pairs of one mode go through sclite together, each under names of its own."""
    path, kinds, num_words = need("sctk", "sctk"), set(), 0
    for pair in joined(range(500)):
        pair.write(tmp_path)
        theirs = by_sclite(tmp_path, pair.mode, path)
        assert by_asrkd(tmp_path, pair.mode) == theirs
        num_words += sum(counts.num_words for _, _, counts in theirs)
        kinds |= pair.kinds.keys()
    assert num_words > 20_000 and len(kinds) == 8


def test_pairs_one_by_one_and_untidy_ones_have_the_same_counts(need, tmp_path):
    figures = compare(range(9000, 9020), need("sctk", "sctk"), tmp_path)
    assert figures.wrong == [] and figures.pairs == 20


def test_a_fault_would_be_found(need, tmp_path, monkeypatch):
    """Each choice that sclite leaves to a tie is in some pair."""
    monkeypatch.setattr("asrkd.scoring.network_alignment._NULL_COST", 0.0)
    assert len(compare(range(40), need("sctk", "sctk"), tmp_path).wrong) > 1


@pytest.mark.parametrize("mode", ["", "-s", "-D", "-s -D -F"])
def test_sclite_reads_our_trn_files_and_counts_what_we_count(need, tmp_path, mode):
    """With the alternatives and optional words that they have; words such as ``*`` a trn cannot have."""
    path, num_read = need("sctk", "sctk"), 0
    for seed in (seed for seed in range(200) if generate(seed).mode == mode):
        generate(seed).write(tmp_path)
        ours, out = scored(tmp_path, mode), tmp_path / f"score{seed}"
        write_score(out, {"set": "x", "params": None, "search": None}, ours)
        if (out / "ref.trn").is_file():
            assert by_sclite_of_trn(out, mode, path) == ours.counts
            num_read += 1
        if num_read == 8:
            return
    pytest.fail(f"only {num_read} scores have trn files")


def by_sclite_of_trn(folder: Path, mode: str, path: str) -> Counts:
    """The sum of sclite's counts over the utterances of ref.trn and hyp.trn."""
    done = subprocess.run(
        f"sctk sclite -r ref.trn trn -h hyp.trn trn -i spu_id {mode} -f 0 -o pralign stdout".split(),
        env={"PATH": path}, cwd=folder, capture_output=True, check=True,
    )  # fmt: skip
    found = COUNTED.findall(done.stdout.decode("latin-1"))
    return corpus_counts(Counts(*map(int, numbers)) for _, *numbers in found)


def test_the_command_prints_its_figures(need):
    need("sctk", "sctk")
    done = subprocess.run(
        [sys.executable, "-m", "tests.scoring.nist_pairs", "--pairs", "3"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert "3 pairs of files" in done.stdout and "pairs with other counts: 0" in done.stdout
