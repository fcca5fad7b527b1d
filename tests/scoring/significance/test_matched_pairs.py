"""MAPSSWE: segments found by hand, NIST's sc_stats, and what must hold for any systems."""

import random
import re
import subprocess
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from statistics import NormalDist, mean, stdev

import numpy as np
import pytest

from asrkd.scoring.edits import error_map
from asrkd.scoring.significance.matched_pairs import ErrorMap, MatchedPairs, matched_pairs
from asrkd.scoring.word_alignment import align_many

VOCABULARY = ["one", "two", "three", "four", "five", "six", "a", "o", "be", "bee"]


def edits(marks: str) -> str:
    """As asrkd.scoring.edits has them, of c correct, s substituted, d deleted, i inserted."""
    return marks.replace("c", "=").upper()


def outcome(first: list[str], second: list[str]) -> MatchedPairs:
    """The result for two systems by marks, an utterance each."""
    maps = [error_map(map(edits, marks)) for marks in (first, second)]
    return matched_pairs(maps[:1], maps[1:])


@pytest.mark.parametrize(
    ("first", "second", "differences"),
    [
        (["ccccc"], ["ccccc"], []),
        (["sccsc"], ["ccccc"], [1, 1]),  # two words right between: two segments
        (["scscc"], ["ccccc"], [2]),  # one word right between: one segment
        (["sccsc"], ["cdccc"], [1]),  # the words between are not right in both
        (["sccds"], ["ccscc"], [2]),
        (["cc", "sc"], ["cd", "cc"], [-1, 1]),  # an utterance ends its segment
        (["iccicc"], ["cccc"], [1, 1]),
        (["sciic"], ["ccc"], [3]),  # an insertion comes before the next word
        (["scicc"], ["cccc"], [2]),
        (["sccii"], ["iccc"], [0, 2]),
        (["d", ""], ["c", "i"], [1, -1]),  # an utterance without words
    ],
)
def test_segments_are_those_found_by_hand(first, second, differences):
    found = outcome(first, second)
    assert found.num_segments == len(differences)
    assert found.mean == pytest.approx(mean(differences) if differences else 0.0)


def test_z_and_p_are_those_of_the_differences_found_by_hand():
    differences = [1, 1, -1, 2, 0, 1]
    first = ["scc", "scc", "ccc", "sdc", "scc", "scc"]
    second = ["ccc", "ccc", "ccs", "ccc", "ccs", "ccc"]
    found = outcome(first, second)
    assert found.z == pytest.approx(mean(differences) / (stdev(differences) / 6**0.5))
    assert found.p == pytest.approx(2 * (1 - NormalDist().cdf(abs(found.z))))


def test_exchanging_the_systems_changes_the_sign_alone():
    first, second = ["scc", "ccci", "scc", "cc"], ["ccci", "ccs", "csc", "cci"]
    one, other = outcome(first, second), outcome(second, first)
    assert (one.num_segments, one.z, one.mean) == (other.num_segments, -other.z, -other.mean)
    assert one.p == other.p


def test_the_same_seed_twice_is_the_seed_once():
    maps = [error_map([edits(marks)]) for marks in ("sccs", "ccsic")]
    assert matched_pairs(maps[:1] * 3, maps[1:]) == matched_pairs(maps[:1], maps[1:])


def test_other_references_are_refused():
    one, other = error_map(["=="]), error_map(["==="])
    with pytest.raises(ValueError, match="not aligned to the same references"):
        matched_pairs([one], [other])


def test_equals_seldom_differ():
    """At 5 %, of systems that err at random in independent utterances."""
    rng = np.random.default_rng(3)
    ends = np.tile([False] * 9 + [True], 60)
    alarms = 0
    for _ in range(600):
        maps = [
            ErrorMap((rng.random(600) < 0.15) & ~ends, (rng.random(600) < 0.03).astype(np.int64), ends)
            for _ in range(2)
        ]
        alarms += matched_pairs(maps[:1], maps[1:]).p < 0.05
    assert 0.03 < alarms / 600 < 0.075


# --- NIST's


def corrupted(words: list[str], rate: float, rng: random.Random) -> list[str]:
    """The words with errors at ``rate`` of them, after the last one too."""
    heard = []
    for word in words:
        dice = rng.random() / rate
        heard += [rng.choice(VOCABULARY)] if dice < 0.25 else []
        heard += [] if 0.25 <= dice < 0.5 else [rng.choice(VOCABULARY)] if 0.5 <= dice < 1 else [word]
    return heard + ([rng.choice(VOCABULARY)] if rng.random() < rate / 2 else [])


def write_trn(path: Path, texts: list[list[str]]) -> None:
    path.write_text("".join(f"{' '.join(text)} (s{n % 7}-u{n})\n" for n, text in enumerate(texts)))


def nist(folder: Path, path: str, *command: str, given: str = "") -> str:
    """What a program of sctk prints; sc_stats prints unset memory in tables that nobody asks for."""
    done = subprocess.run(
        ["sctk", *command],
        cwd=folder,
        env={"PATH": path},
        capture_output=True,
        input=given.encode(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode(errors="replace")


def sgml_edits(sgml: str) -> list[str]:
    """The edits in sclite's -o sgml, in the order of the utterances' numbers."""
    found = {}
    for name, body in re.findall(r'<PATH id="([^"]*)"[^>]*>\n(.*?)</PATH>', sgml, re.DOTALL):
        found[name] = "".join(item[0] for item in body.strip().split(":") if item).replace("C", "=")
    return [found[name] for name in sorted(found, key=lambda name: int(name.strip("()").split("-u")[1]))]


def test_z_and_decision_are_those_of_sc_stats(need: Callable[..., str], tmp_path):
    """Thirty pairs: better, worse and equal systems, all kinds of errors, empty hypotheses too."""
    path, rng = need("sctk", "sctk"), random.Random(5)
    decisions = []
    for number in range(30):
        references = [rng.choices(VOCABULARY, k=rng.randint(1, 25)) for _ in range(rng.randint(20, 120))]
        write_trn(tmp_path / "ref.trn", references)
        maps, sgmls = [], ""
        for name in ("A", "B"):
            rate = rng.choice([0.05, 0.1, 0.2, 0.4, 0.6])
            heard = [corrupted(words, rate, rng) for words in references]
            write_trn(tmp_path / f"{name}.trn", heard)
            options = ["-r", "ref.trn", "trn", "-h", f"{name}.trn", "trn", name, "-i", "spu_id"]
            sgml = nist(tmp_path, path, "sclite", *options, "-o", "sgml", "stdout")
            pairs = list(zip(references, heard, strict=True))
            assert align_many(pairs, "sclite") == sgml_edits(sgml)  # so it holds from texts to the decision
            maps.append(error_map(sgml_edits(sgml)))
            sgmls += sgml
        said = nist(tmp_path, path, "sc_stats", "-p", "-t", "mapsswe", "-v", "-n", "-", given=sgmls)
        (z, differ), (segments,) = (
            re.findall(r"\(Z Stat: *(\S+)\) \(Stat Diff: (\w+)\)", said)[0],
            re.findall(r"\(# segs: *(\d+)\)", said),
        )
        found = matched_pairs(maps[:1], maps[1:])
        assert (number, found.num_segments) == (number, int(segments))
        assert found.z == pytest.approx(float(z), abs=0.00051)  # it prints three decimals
        assert (found.p < 0.05) == (differ == "Yes")
        decisions.append(differ)
    assert {key for key, _ in groupby(sorted(decisions))} == {"No", "Yes"}


def test_edits_become_slots():
    found = error_map(["=S=I", "I", "D", "II=="])
    assert found.wrong.tolist() == [False, True, False, False, False, True, False, False, False, False]
    assert found.inserted.tolist() == [0, 0, 0, 1, 1, 0, 0, 2, 0, 0]
    assert found.ends.tolist() == [False, False, False, True, True, False, True, False, False, True]
