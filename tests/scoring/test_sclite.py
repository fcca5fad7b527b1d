"""The alignment `sclite`: against all alignments tried one by one, and the real sclite on thousands of pairs.

The reference implementation is Debian's package sctk (`sudo apt install sctk`).
"""

import random
import re
import subprocess
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.scoring.counts import Counts, word_counts
from asrkd.scoring.sclite_edits import sclite_edits
from asrkd.scoring.score_corpus import ReferenceUtterance, Rules, parse_rules, score_utterances
from asrkd.scoring.score_files import write_score
from asrkd.scoring.word_alignment import align_many, align_words

Pair = tuple[list[str], list[str]]
COSTS = {"=": 0, "S": 4, "D": 3, "I": 3}

WORDS = st.lists(st.sampled_from("abc"), max_size=6)


def least_cost(reference: list[str], hypothesis: list[str]) -> int:
    """What the cheapest alignment costs, by trying all of them."""

    @cache
    def cost(i: int, j: int) -> int:
        if i == len(reference) or j == len(hypothesis):
            return 3 * (len(reference) - i + len(hypothesis) - j)
        same = 0 if reference[i] == hypothesis[j] else 4
        return min(same + cost(i + 1, j + 1), 3 + cost(i + 1, j), 3 + cost(i, j + 1))

    return cost(0, 0)


def sclites_choice(reference: list[str], hypothesis: list[str]) -> str:
    """From the end: both words if that is cheapest, else a deletion if that alone is, else an insertion."""
    if not reference or not hypothesis:
        return "D" * len(reference) + "I" * len(hypothesis)
    same = reference[-1] == hypothesis[-1]
    both = least_cost(reference[:-1], hypothesis[:-1]) + (0 if same else 4)
    deleted = least_cost(reference[:-1], hypothesis) + 3
    inserted = least_cost(reference, hypothesis[:-1]) + 3
    if both <= min(deleted, inserted):
        return sclites_choice(reference[:-1], hypothesis[:-1]) + ("=" if same else "S")
    if deleted < inserted:
        return sclites_choice(reference[:-1], hypothesis) + "D"
    return sclites_choice(reference, hypothesis[:-1]) + "I"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS), max_size=4))
def test_the_edits_cost_least_and_ties_go_as_they_go_in_sclite(pairs):
    found = sclite_edits(pairs)
    assert found == [sclites_choice(*pair) for pair in pairs]
    for (reference, hypothesis), edits in zip(pairs, found, strict=True):
        assert sum(COSTS[edit] for edit in edits) == least_cost(reference, hypothesis)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "edits"),
    [
        ("a a b", "b c c", "SSS"),  # rather than DD=II
        ("b b b d c", "d c c d", "DDD=I=I"),
        ("a b", "a a b", "I=="),  # the later of two that fit
    ],
)
def test_where_costs_tie_the_end_decides(reference, hypothesis, edits):
    """Three substitutions cost 12, and so do two deletions and two insertions."""
    assert sclite_edits([(reference.split(), hypothesis.split())]) == [edits]


def test_many_at_a_time_are_as_one_at_a_time(monkeypatch):
    pairs = generated(300, seed=7)
    alone = [sclite_edits([pair])[0] for pair in pairs]
    assert sclite_edits(pairs) == alone
    monkeypatch.setattr("asrkd.scoring.sclite_edits.CELLS", 50)
    assert sclite_edits(pairs) == alone


def short_ones() -> list[Pair]:
    """Every pair of up to three words, of three in the reference and a fourth in the hypothesis."""
    said, heard = (
        [words for size in range(4) for words in product(letters, repeat=size)] for letters in ("abc", "abcd")
    )
    return [(list(reference), list(hypothesis)) for reference in said for hypothesis in heard]


def generated(count: int, seed: int) -> list[Pair]:
    """Pairs of the kinds on which aligners differ; half are recognitions, half have nothing in common."""
    rng = random.Random(seed)
    pairs = []
    for number in range(count):
        words = vocabulary(rng)
        size = rng.choice([0, 1, 2, 5, 9, 20]) if number % 50 else 200
        said = [rng.choice(words) for _ in range(size)]
        if number % 2:
            pairs.append((said, [rng.choice(words) for _ in range(rng.choice([0, 1, 3, size, size + 2]))]))
        else:
            pairs.append((said, recognized(said, words, rng)))
    return pairs


def vocabulary(rng: random.Random) -> list[str]:
    """One word that repeats itself, some letters, words of many scripts and both cases, or plenty."""
    kinds = (
        ["a"],
        list("ab"),
        list("abcde"),
        ["don't", "Don't", "DON'T", "dont", "well-known", "42", "x"],
        ["été", "ÉTÉ", "naïve", "straße", "STRASSE", "ß", "žluťoučký"],
        ["こんにちは", "世界", "ｗｉｄｅ", "안녕", "नमस्ते", "שלום", "🙂", "e\u0301"],
        [f"word{number}" for number in range(300)],
    )
    return rng.choice(kinds)


def recognized(said: list[str], words: list[str], rng: random.Random) -> list[str]:
    """What a recognizer that errs in a third of the words makes of it."""
    heard = []
    for word in said:
        luck = rng.random()
        if luck < 0.1:
            continue
        if luck < 0.2:
            heard.append(rng.choice(words))
        heard.append(rng.choice(words) if luck > 0.9 else word)
    return heard


Sclite = Callable[[Path, Path], dict[str, dict[str, str]]]


@pytest.fixture
def sclite(need) -> Sclite:
    """What sclite says of a reference and a hypothesis trn: by utterance the counts and both lines of words.

    ``-s``: it folds case otherwise; ``-e utf-8``: it takes bytes for characters otherwise.
    """
    path = need("sctk", "sctk")

    def run(reference: Path, hypothesis: Path) -> dict[str, dict[str, str]]:
        command = ["sctk", "sclite", "-r", reference, "trn", "-h", hypothesis, "trn", "-i", "spu_id", "-s"]
        done = subprocess.run(
            [*map(str, command), "-e", "utf-8", "-o", "pralign", "stdout"],
            env={"PATH": path}, capture_output=True, check=True,
        )  # fmt: skip
        found = re.findall(
            r"^id: \((.*)\)\nScores: \(#C #S #D #I\) (\d+ \d+ \d+ \d+)\n(?:Attributes.*\n)?((?:.*\n)*?)\n",
            done.stdout.decode(),
            re.MULTILINE,
        )
        return {label: {"counts": counts, "lines": lines} for label, counts, lines in found}

    return run


def test_counts_by_kind_are_sclites_on_thousands_of_pairs(sclite, tmp_path):
    """No class of ties is left out: each of 3,000 and all the short ones have sclite's own four counts."""
    pairs = generated(3000, seed=20251121) + short_ones()
    for name, side in (("ref", 0), ("hyp", 1)):
        lines = (f"{' '.join(pair[side])} (spk-{n})\n".lstrip() for n, pair in enumerate(pairs))
        (tmp_path / f"{name}.trn").write_text("".join(lines), encoding="utf-8")
    theirs = sclite(tmp_path / "ref.trn", tmp_path / "hyp.trn")
    ours = [word_counts(edits) for edits in align_many(pairs, "sclite")]
    expected = [Counts(*map(int, theirs[f"spk-{n}"]["counts"].split())) for n in range(len(pairs))]
    assert ours == expected
    plain = [word_counts(edits) for edits in align_many(pairs, "levenshtein")]
    assert sum(a != b for a, b in zip(ours, plain, strict=True)) > 100  # the choice of alignment matters here


def test_the_words_that_stand_together_are_sclites(sclite, tmp_path):
    """Its report fills with stars what was inserted or deleted; these pairs have words without stars."""
    pairs = [pair for pair in generated(2000, seed=3) if len(pair[0]) < 10 and pair[0] and pair[1]]
    plain = [(ref, hyp) for ref, hyp in pairs if all(re.fullmatch("[a-e]", word) for word in ref + hyp)]
    for name, side in (("ref", 0), ("hyp", 1)):
        lines = (f"{' '.join(pair[side])} (spk-{n})\n" for n, pair in enumerate(plain))
        (tmp_path / f"{name}.trn").write_text("".join(lines))
    theirs = sclite(tmp_path / "ref.trn", tmp_path / "hyp.trn")
    assert len(plain) > 200
    for number, (reference, hypothesis) in enumerate(plain):
        ref_line, hyp_line = theirs[f"spk-{number}"]["lines"].splitlines()[:2]
        shown = zip(ref_line.split()[1:], hyp_line.split()[1:], strict=True)
        expected = [(said if said != "*" else None, heard if heard != "*" else None) for said, heard in shown]
        # It writes wrong words in capitals.
        folded = [(a and a.lower(), b and b.lower()) for a, b in expected]
        assert align_words(" ".join(reference), " ".join(hypothesis), "sclite") == folded


def test_sclite_reads_our_trn_files_and_counts_what_we_count(sclite, tmp_path):
    pairs = generated(400, seed=11)
    utterances = [
        ReferenceUtterance(f"{n}", " ".join(said), f"tape{n // 7}", f"s{n % 9}")
        for n, (said, _) in enumerate(pairs)
    ]
    heard = {f"{n}": " ".join(words) for n, (_, words) in enumerate(pairs)}
    scored = score_utterances(utterances, heard, Rules("sclite"))
    write_score(tmp_path / "score", {"set": "test", "params": None, "search": None}, scored)
    theirs = sclite(tmp_path / "score/ref.trn", tmp_path / "score/hyp.trn")
    counts = [tuple(map(int, row["counts"].split())) for row in theirs.values()]
    assert len(counts) == len(pairs)
    assert Counts(*map(sum, zip(*counts, strict=True))) == scored.counts


# Words of scripts with and without blanks, put together with blanks or without.
SWITCHED = "今天 天气 我们 OK meeting iPhone15 カード 東京 กินน้ำ ไทย 안녕 straße don't café".split()


@pytest.mark.parametrize("unit", ["char", "mixed"])
@pytest.mark.parametrize("alignment", ["sclite", "levenshtein"])
def test_sclite_counts_the_units_of_our_trn_files_as_we_do(sclite, tmp_path, unit, alignment):
    """Of levenshtein's rule, which makes the fewest errors, the units alone are the same."""
    rng = random.Random(29)

    def text(words: list[str]) -> str:
        return "".join(word + rng.choice(["", " "]) for word in words)

    said = [[rng.choice(SWITCHED) for _ in range(rng.randint(1, 9))] for _ in range(300)]
    heard = {f"{n}": text(recognized(words, SWITCHED, rng)) for n, words in enumerate(said)}
    utterances = [
        ReferenceUtterance(f"{n}", text(words), f"tape{n // 7}", "spk") for n, words in enumerate(said)
    ]
    rules = parse_rules(alignment, "none", unit)
    scored = score_utterances(utterances, heard, rules)
    write_score(tmp_path / "score", {"set": "test", "params": None, "search": None}, scored)
    theirs = sclite(tmp_path / "score/ref.trn", tmp_path / "score/hyp.trn")
    counts = [Counts(*map(int, theirs[f"spk-{one.id}"]["counts"].split())) for one in scored.utterances]
    if alignment == "sclite":
        assert counts == [one.counts for one in scored.utterances]
    else:
        assert [one.num_words for one in counts] == [one.counts.num_words for one in scored.utterances]
        assert all(
            their.errors >= one.counts.errors for their, one in zip(counts, scored.utterances, strict=True)
        )
    assert sum(one.errors for one in counts) > 300
