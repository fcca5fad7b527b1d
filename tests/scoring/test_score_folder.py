"""What a score folder says of its utterances, read back, and what cannot be compared."""

import json
from pathlib import Path

import pytest

from asrkd.core.errors import AsrkdError
from asrkd.scoring.counts import CharacterCounts, Counts
from asrkd.scoring.normalizer import find_normalizer
from asrkd.scoring.score_corpus import ReferenceUtterance, Rules, score_utterances
from asrkd.scoring.score_files import write_score
from asrkd.scoring.score_folder import read_counts, read_score, require_comparable

UTTERANCES = [
    ReferenceUtterance("b", "THE CAT", "tape", "ann", 1.25),
    ReferenceUtterance("a", "A  DOG", "tape"),
    ReferenceUtterance("c", "", "reel", "bob", 0.5),
]
HYPOTHESES = {"a": "A DOG", "b": "CAT", "c": "UH"}


def make(folder: Path, hypotheses=HYPOTHESES, utterances=UTTERANCES, **rules: object) -> Path:
    asked = Rules(**rules)
    described = {"set": "test", "params": None, "search": None}
    write_score(folder, described, score_utterances(utterances, hypotheses, asked))
    return folder


def test_what_was_written_is_read(tmp_path):
    found = read_score(make(tmp_path / "score"))
    assert (found.path, found.set_name, found.alignment) == (tmp_path / "score", "test", "levenshtein")
    assert found.normalizer == find_normalizer("none")
    assert found.counts == Counts(3, 0, 1, 1)
    a, b, c = found.utterances
    assert (a.id, a.speaker, a.recording, a.duration_s, a.reference) == ("a", "tape", "tape", None, "A DOG")
    assert (b.speaker, b.duration_s, b.hypothesis, b.counts) == ("ann", 1.25, "CAT", Counts(1, 0, 1, 0))
    assert (c.counts, c.character_counts) == (Counts(0, 0, 0, 1), CharacterCounts(0, 0, 0, 2))


@pytest.mark.parametrize(
    ("name", "damage", "complaint"),
    [
        ("stamp.json", None, r"unfinished \(no stamp.json\); finish it with: asrkd score"),
        ("utterances.jsonl", None, "utterances.jsonl: no such file"),
        (
            "utterances.jsonl",
            '{"id": "a"}\n',
            "utterances.jsonl:1: not a scored utterance .*; make the score again",
        ),
        ("score.json", "{}", "score.json: not as this asrkd writes it .*; make the score again: rm -r"),
        ("score.json", '{"wer"', "score.json: torn"),
    ],
)
def test_a_score_that_is_not_whole_is_a_line_with_its_remedy(tmp_path, name, damage, complaint):
    folder = make(tmp_path / "score")
    (folder / name).unlink()
    if damage is not None:
        (folder / name).write_text(damage)
    with pytest.raises(AsrkdError, match=complaint) as error:
        read_score(folder)
    assert "\n" not in str(error.value)


def test_a_lost_line_is_noticed(tmp_path):
    folder = make(tmp_path / "score")
    lines = (folder / "utterances.jsonl").read_text().splitlines(keepends=True)
    (folder / "utterances.jsonl").write_text("".join(lines[1:]))
    with pytest.raises(
        AsrkdError,
        match=r"the counts of utterances.jsonl do not sum to those of score.json; make the score again",
    ):
        read_score(folder)


def test_no_folder_says_how_to_make_one(tmp_path):
    with pytest.raises(AsrkdError, match="nowhere: no such folder; make it with: asrkd score"):
        read_score(tmp_path / "nowhere")


def test_scores_of_the_same_references_can_be_compared(tmp_path):
    other = make(tmp_path / "other", {"a": "DOG", "b": "", "c": ""}, UTTERANCES[::-1])
    require_comparable([read_score(make(tmp_path / "score")), read_score(other)])


def test_other_references_and_rules_are_refused(tmp_path):
    first = make(tmp_path / "score")
    others = {
        "references": make(
            tmp_path / "1", utterances=[*UTTERANCES[:2], ReferenceUtterance("c", "HM", "reel")]
        ),
        "normalizer": make(tmp_path / "2", normalizer=find_normalizer("basic")),
        "alignment": make(tmp_path / "3", alignment="sclite"),
    }
    for what, other in others.items():
        with pytest.raises(
            AsrkdError, match=f"{other}: {what} .*, but {first} has .*; score both with the same options"
        ):
            require_comparable([read_score(first), read_score(other)])


@pytest.mark.parametrize(
    ("name", "field", "value", "complaint"),
    [
        ("utterances.jsonl", "hits", "1", "utterances.jsonl:1: not a scored utterance .hits is '1'"),
        (
            "utterances.jsonl",
            "reference",
            None,
            "utterances.jsonl:1: not a scored utterance .reference is None",
        ),
        ("utterances.jsonl", "duration_s", float("inf"), "utterances.jsonl:1: .*duration_s is inf"),
        (
            "utterances.jsonl",
            "reference",
            "A DOG UP",
            "utterances.jsonl:1: utterance 'a': counts are of [23] words",
        ),
        (
            "utterances.jsonl",
            "reference",
            "A CAT",
            "the references of utterances.jsonl are not those of score.json",
        ),
        ("score.json", "alignment", "mine", "score.json: not as this asrkd writes it .alignment is 'mine'"),
        ("score.json", "counts", {"hits": -1}, "score.json: .*counts.hits is -1"),
        ("stamp.json", "hits", [], "stamp.json: not a stamp of this command"),
    ],
)
def test_a_wrong_field_is_told_by_its_place(tmp_path, name, field, value, complaint):
    folder = make(tmp_path / "score")
    first, *rest = (folder / name).read_text(encoding="utf-8").split("\n", 1)
    if name.endswith(".json"):
        record = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps(record | {field: value}))
    else:
        (folder / name).write_text("\n".join([json.dumps(json.loads(first) | {field: value}), *rest]))
    with pytest.raises(AsrkdError, match=complaint):
        read_counts(folder) if name == "stamp.json" else read_score(folder)
