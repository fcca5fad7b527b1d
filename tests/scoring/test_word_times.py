"""Times of words, on texts and cuts made by hand."""

import json
from dataclasses import replace

import pytest
from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource
from lhotse.supervision import AlignmentItem

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.features.shards import copies
from asrkd.decoding.word_emissions import EmissionClock
from asrkd.scoring.cut_references import reference_utterances
from asrkd.scoring.normalizer import find_normalizer, normalize
from asrkd.scoring.score_corpus import ReferenceUtterance, Rules, parse_rules, score_utterances
from asrkd.scoring.score_files import write_score
from asrkd.scoring.score_folder import read_score
from asrkd.scoring.word_times import Emission, fitted

RATE = 16000
ALIGNED = [AlignmentItem("", 0.0, 0.25), AlignmentItem("Six", 0.25, 0.5), AlignmentItem("OH", 1.0, 0.125)]


def cut(start: float = 0.0, text: str = "SIX OH", items=ALIGNED) -> MonoCut:
    source = AudioSource("file", [0], "a.wav")
    supervision = SupervisionSegment("a", "a", 0.0, 2.0, 0, text, alignment={"word": items})
    recording = Recording("a", [source], RATE, 10 * RATE, 10.0)
    return MonoCut("a", start, 2.0, 0, supervisions=[supervision], recording=recording)


def word_times(*cuts: MonoCut):
    return [utterance.word_times for utterance in reference_utterances(PackedCuts(cuts))]


def test_the_alignment_of_a_cut_gives_start_and_end_of_its_words():
    assert word_times(cut()) == [((0.25, 0.75), (1.0, 1.125))]


def test_a_perturbed_copy_speaks_its_words_sooner():
    (faster, slower) = copies(cut(), [1.25, 0.8])
    assert word_times(faster, slower) == [((0.2, 0.6), (0.8, 0.9)), ((0.3125, 0.9375), (1.25, 1.40625))]


def test_times_in_the_recording_become_times_in_the_cut():
    items = [item._replace(start=item.start + 3) for item in ALIGNED]
    assert word_times(cut(3.0, items=items)) == [((0.25, 0.75), (1.0, 1.125))]


def test_an_alignment_of_other_words_or_none_gives_no_times():
    plain = replace(cut(), supervisions=[replace(cut().supervisions[0], alignment=None)])
    other = replace(cut(), supervisions=[replace(cut().supervisions[0], alignment={"phone": ALIGNED})])
    assert word_times(cut(text="SIX ONE"), cut(text="SIX"), plain, other) == [None] * 4


@pytest.mark.parametrize("item", [["SIX"], ["SIX", "now", 1.0], ["SIX", 1.0, None], "SIX"])
def test_a_wrong_alignment_is_an_error_of_one_line(item):
    line = cut().to_dict()
    line["supervisions"][0]["alignment"]["word"] = [item]
    cuts = PackedCuts([cut()])
    cuts._tail = [json.dumps(line)]
    with pytest.raises(AsrkdError, match=r"^cut a: its alignment of words: .*asrkd prepare$") as raised:
        reference_utterances(cuts)
    assert "\n" not in str(raised.value)


def test_words_of_characters_and_pieces_are_emitted_with_their_first_and_last_tokens():
    clock = EmissionClock(0.04)
    emission = clock.emission([*"TO", " ", *"BE"], [0, 2, 3, 5, 9], "TO BE")
    assert emission == Emission(((0.04, 0.12), (0.24, 0.4)))
    pieces = clock.emission(["▁TO", "▁", "B", "E"], [4, 5, 6, 7], "TO BE")
    assert pieces == Emission(((0.2, 0.2), (0.28, 0.32)))
    assert clock.emission(["<space>", "A"], [1, 2], "A") == Emission(((0.12, 0.12),))
    assert clock.emission(["A"], [1], "A B") is None  # of another spelling


def test_in_chunks_a_word_waits_for_the_end_of_its_chunk():
    emission = EmissionClock(0.04, chunk_frames=8).emission([*"TO BE"], [0, 7, 8, 8, 15], "TO BE")
    assert emission == Emission(((0.04, 0.32), (0.36, 0.64)), ((0.32, 0.32), (0.64, 0.64)))


@pytest.mark.parametrize(
    ("text", "normalizer", "expected"),
    [
        ("A B", "none", [1, 2]),
        ("Well, it's - me", "basic", [1, 2, 4]),  # the dash is no word
        ("x-ray e.g. now", "basic", [1, 1, 2, 2, 3]),
    ],
)
def test_normalized_words_keep_the_times_of_theirs(text, normalizer, expected):
    rules = find_normalizer(normalizer)
    times = tuple((float(n), n + 0.5) for n in range(1, len(text.split()) + 1))
    kept = fitted(times, text, normalize(text, rules), rules)
    assert [int(start) for start, _ in kept or ()] == expected


def test_words_that_are_not_those_of_the_times_have_none():
    assert fitted(((0.0, 1.0),), "A B", "A B", find_normalizer("none")) is None
    assert fitted(((0.0, 1.0), (1.0, 2.0)), "A B", "AB", find_normalizer("none")) is None


def scored(tmp_path, rules: Rules, emission: Emission | None = None):
    utterance = ReferenceUtterance("a", "SIX OH", "a", "ann", 2.0, ((0.25, 0.75), (1.0, 1.125)))
    emissions = {} if emission is None else {"a": emission}
    result = score_utterances([utterance], {"a": "SIX O H"}, rules, emissions=emissions)
    write_score(tmp_path, {"set": "test", "params": None}, result)
    return read_score(tmp_path).utterances[0], json.loads((tmp_path / "utterances.jsonl").read_text())


EMISSION = Emission(((0.8, 0.84), (1.0, 1.0), (1.2, 1.24)), ((0.96, 0.96), (1.28, 1.28), (1.28, 1.28)))


def test_a_score_folder_keeps_the_times_of_both_sides(tmp_path):
    utterance, row = scored(tmp_path, Rules(), EMISSION)
    assert (utterance.word_times, utterance.emission) == (((0.25, 0.75), (1.0, 1.125)), EMISSION)
    assert row["emission_times"] == [[0.8, 0.84], [1.0, 1.0], [1.2, 1.24]]
    assert row["chunk_times"] == [[0.96, 0.96], [1.28, 1.28], [1.28, 1.28]]
    assert row["reference_times"] == [[0.25, 0.75], [1.0, 1.125]]


@pytest.mark.parametrize("rules", [Rules(), parse_rules("levenshtein", "none", "char")])
def test_without_times_of_both_sides_of_words_a_score_is_as_it_was(tmp_path, rules):
    utterance, row = scored(tmp_path, rules, EMISSION if rules.unit.name == "char" else None)
    assert (utterance.word_times, utterance.emission) == (None, None)
    assert not {"reference_times", "emission_times", "chunk_times"} & row.keys()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("emission_times", [[0.8, 0.84]], "1 times for the 3 words of its hypothesis"),
        ("reference_times", [], "0 times for the 2 words of its reference"),
        ("chunk_times", [[1, 2], [1, 2], [1, "x"]], "chunk_times.2.1 is 'x', expected a number"),
        ("emission_times", "now", "emission_times is 'now'"),
    ],
)
def test_damaged_times_of_a_score_are_an_error_with_their_line(tmp_path, key, value, message):
    _, row = scored(tmp_path, Rules(), EMISSION)
    (tmp_path / "utterances.jsonl").write_text(json.dumps(row | {key: value}) + "\n")
    with pytest.raises(AsrkdError, match=r"utterances.jsonl:1: not a scored utterance") as raised:
        read_score(tmp_path)
    assert message in str(raised.value)
