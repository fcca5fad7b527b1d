"""`asrkd score --ref --hyp`: files in, a score out, refusals, and a hundred thousand utterances in time."""

import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jiwer
import pytest

from asrkd.cli import main
from asrkd.commands.score_transcripts import TranscriptsReport, TranscriptsRequest, score_transcripts
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.stopping import StopRequest
from asrkd.scoring import score_corpus
from asrkd.scoring.score_corpus import parse_rules
from asrkd.scoring.score_folder import read_score, require_comparable

REF = {"ann-1": "THE CAT SAT", "ann-2": "", "bob-1": "ON A MAT", "cy-1": "A B"}
HYP = {"bob-1": "ON THE MAT", "ann-2": "UH", "cy-1": "B C", "ann-1": "THE CAT SAT"}


@pytest.fixture
def request_(tmp_path) -> TranscriptsRequest:
    (tmp_path / "ref.trn").write_text("".join(f"{text} ({utt_id})\n" for utt_id, text in REF.items()))
    rows = ({"id": utt_id, "text": text} for utt_id, text in HYP.items())
    (tmp_path / "hyp.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return TranscriptsRequest(tmp_path / "ref.trn", tmp_path / "hyp.jsonl", tmp_path / "score")


def run(
    request_: TranscriptsRequest, stop: StopRequest | None = None, **changes: object
) -> TranscriptsReport:
    return score_transcripts(replace(request_, **changes), stop or StopRequest())


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_a_small_score_by_hand(request_):
    report = run(request_)
    assert report.text() == f"%WER 50.00 [ 4 / 8, 1 ins, 0 del, 3 sub ] levenshtein {request_.out}"
    scored = read_score(request_.out)
    assert [utterance.id for utterance in scored.utterances] == ["ann-1", "ann-2", "bob-1", "cy-1"]
    assert [utterance.counts.errors for utterance in scored.utterances] == [0, 1, 1, 2]
    assert [utterance.speaker for utterance in scored.utterances] == ["ann", "ann", "bob", "cy"]
    record = json.loads((request_.out / "score.json").read_text())
    by_speaker = {row["speaker"]: row["counts"]["reference_length"] for row in record["speakers"]}
    assert by_speaker == {"ann": 3, "bob": 3, "cy": 2}
    ids = sorted(REF)
    assert record["wer"] == pytest.approx(jiwer.wer([REF[i] for i in ids], [HYP[i] for i in ids]))
    assert record["cer"] == pytest.approx(jiwer.cer([REF[i] for i in ids], [HYP[i] for i in ids]))
    assert (record["params"], record["search"], record["alignment"]) == (None, None, "levenshtein")
    interval = record["interval"]
    assert interval["low"] <= record["wer"] <= interval["high"]
    assert (interval["resampled"], interval["level"], interval["seed"]) == ("speakers", 0.95, 1)


def test_the_files_are_those_that_people_know(request_, tmp_path):
    name = tmp_path.name  # of ref.trn, whose own name says nothing
    run(request_)
    assert set(contents(request_.out)) == {
        f"errs-{name}.txt", f"recogs-{name}.txt", "text", "ref.trn", "hyp.trn",
        "score.json", "utterances.jsonl", "request.json", "stamp.json",
    }  # fmt: skip
    assert (request_.out / "text").read_text().splitlines()[:2] == ["ann-1 THE CAT SAT", "ann-2 UH"]
    assert (request_.out / "ref.trn").read_text().splitlines()[:2] == ["THE CAT SAT (ann-1)", "(ann-2)"]


def test_a_scores_own_files_give_the_same_score(request_, tmp_path):
    run(request_)
    again = {"references": request_.out / "ref.trn", "hypotheses": request_.out / "text"}
    run(request_, out=tmp_path / "again", **again)
    scores = [read_score(out) for out in (request_.out, tmp_path / "again")]
    require_comparable(scores)
    assert scores[0].utterances == scores[1].utterances


def test_sclites_alignment_and_a_normalizer_can_be_chosen(request_, tmp_path):
    (tmp_path / "hyp.jsonl").write_text((tmp_path / "hyp.jsonl").read_text().replace("THE MAT", "the mat!"))
    report = run(request_, rules=parse_rules("sclite", "basic"))
    assert report.text() == f"%WER 50.00 [ 4 / 8, 2 ins, 1 del, 1 sub ] sclite {request_.out}"
    scored = read_score(request_.out)
    assert (scored.alignment, scored.normalizer.name) == ("sclite", "basic")
    assert scored.utterances[2].hypothesis == "on the mat"


def test_speakers_come_from_a_file_of_kaldis_if_one_is_given(request_, tmp_path):
    (tmp_path / "utt2spk").write_text(
        "".join(f"{utt_id} s{number % 2}\n" for number, utt_id in enumerate(REF))
    )
    run(request_, utt2spk=tmp_path / "utt2spk")
    assert [utterance.speaker for utterance in read_score(request_.out).utterances] == [
        "s0",
        "s1",
        "s0",
        "s1",
    ]
    (tmp_path / "utt2spk").write_text("ann-1 s\nann-2 s\n")
    with pytest.raises(AsrkdError, match="utt2spk: 2 utterances of .* have no speaker: 'bob-1', 'cy-1'; add"):
        run(request_, utt2spk=tmp_path / "utt2spk", out=tmp_path / "other")


def test_there_are_both_trn_files_or_neither(request_, tmp_path, capsys):
    (tmp_path / "starred.jsonl").write_text(
        "".join(json.dumps({"id": utt_id, "text": f"{text} *"}) + "\n" for utt_id, text in HYP.items())
    )
    run(request_, hypotheses=tmp_path / "starred.jsonl")
    assert "asrkd: no trn files: cut 'ann-1': '*' is not a word in sclite" in capsys.readouterr().err
    assert not list(request_.out.glob("*.trn"))


def test_without_speakers_the_interval_is_over_utterances(tmp_path):
    for name, texts in (("ref", REF), ("hyp", HYP)):
        (tmp_path / name).write_text("".join(f"{utt_id} {text}\n" for utt_id, text in texts.items()))
    out = tmp_path / "score"
    run(TranscriptsRequest(tmp_path / "ref", tmp_path / "hyp", out))
    assert json.loads((out / "score.json").read_text())["interval"]["resampled"] == "utterances"
    assert [utterance.speaker for utterance in read_score(out).utterances] == sorted(REF)


def test_no_job_is_launched_for_finished_transcripts(request_, monkeypatch):
    files = ["--ref", str(request_.references), "--hyp", str(request_.hypotheses)]
    monkeypatch.setattr(
        "sys.argv", ["asrkd", "score", *files, "--out", str(request_.out), "--launcher", "local"]
    )
    with pytest.raises(AsrkdError, match="--launcher local: .* does not run as jobs; remove"):
        main.app(standalone_mode=False)
    assert [path.name for path in request_.out.parent.iterdir() if path.is_dir()] == []


def test_the_same_files_again_are_already_complete(request_):
    first = run(request_)
    before = contents(request_.out)
    again = run(request_)
    assert again.text() == f"{first.text()} (already complete)"
    assert contents(request_.out) == before


def test_other_texts_or_rules_in_the_same_folder_are_refused(request_, tmp_path):
    run(request_)
    before = contents(request_.out)
    with pytest.raises(AsrkdError, match="created with other settings: alignment was 'levenshtein'"):
        run(request_, rules=parse_rules("sclite", "none"))
    with pytest.raises(AsrkdError, match="created with other settings: normalizer.name was 'none'"):
        run(request_, rules=parse_rules("levenshtein", "basic"))
    (tmp_path / "hyp.jsonl").write_text((tmp_path / "hyp.jsonl").read_text().replace("UH", "UM"))
    with pytest.raises(AsrkdError, match="created with other settings: hypotheses has changed "):
        run(request_)
    assert contents(request_.out) == before


@pytest.mark.parametrize(
    ("ref", "hyp", "complaint"),
    [
        ("a x\nb y\n", "a x\n", "1 references have no hypothesis: 'b'; expected one hypothesis"),
        ("a x\n", "a x\nb y\nc z\n", "2 hypotheses have no reference: 'b', 'c'; expected one hypothesis"),
        ("a\nb\n", "a x\nb y\n", r"ref: no words in the references of 2 utterances \('a', 'b'\)"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_its_ids(tmp_path, ref, hyp, complaint):
    (tmp_path / "ref").write_text(ref)
    (tmp_path / "hyp").write_text(hyp)
    with pytest.raises(AsrkdError, match=complaint) as error:
        run(TranscriptsRequest(tmp_path / "ref", tmp_path / "hyp", tmp_path / "score"))
    assert str(error.value).startswith(f"{tmp_path}/ref")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "score").exists()


def test_references_that_the_normalizer_empties_have_no_rate(tmp_path):
    for name in ("ref", "hyp"):
        (tmp_path / name).write_text("a ...\nb -- !\n")
    request = TranscriptsRequest(tmp_path / "ref", tmp_path / "hyp", tmp_path / "score")
    with pytest.raises(AsrkdError, match="'a', 'b'. after normalizer basic, so there is no error rate"):
        run(request, rules=parse_rules("levenshtein", "basic"))
    assert run(request).counts.num_words == 3


class StopAtOnce(StopRequest):
    def reason(self) -> str:
        return "SIGTERM"


def test_a_stop_while_aligning_can_be_resumed(request_, tmp_path, monkeypatch):
    monkeypatch.setattr(score_corpus, "AT_ONCE", 2)
    run(request_, out=tmp_path / "whole")
    with pytest.raises(StoppedInTime, match="stopped by SIGTERM: 2 of 4 utterances were aligned"):
        run(request_, StopAtOnce())
    assert not (request_.out / "score.json").exists()
    run(request_)
    assert contents(request_.out) == contents(tmp_path / "whole")


CROWD = 100_000

# Seconds of CPU: the clock would measure what else the machine does.
MEASURED = """
import resource, sys, time
from asrkd.cli import main
begun = time.process_time()
try:
    main.run()
except SystemExit as stop:
    assert stop.code == 0
print("MEASURED", time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.fixture(scope="module")
def crowd(tmp_path_factory) -> Path:
    """Two thousand speakers, twenty words an utterance, one in ten wrong: two hundred hours of speech."""
    folder = tmp_path_factory.mktemp("crowd")
    rng = random.Random(1)
    words = [f"w{number}" for number in range(10_000)]
    with (folder / "ref").open("w") as ref, (folder / "hyp.trn").open("w") as hyp:
        for number in range(CROWD):
            utt_id = f"s{number % 2000:04d}-{number:06d}"
            reference = rng.choices(words, k=rng.randint(5, 35))
            hypothesis = [
                rng.choice(words) if rng.random() < 0.05 else word
                for word in reference
                if rng.random() > 0.05
            ]
            ref.write(f"{utt_id} {' '.join(reference)}\n")
            hyp.write(f"{' '.join(hypothesis)} ({utt_id})\n")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("alignment", ["levenshtein", "sclite"])
def test_100000_utterances_take_a_minute_and_two_gibibytes(crowd, tmp_path, alignment):
    command = [
        sys.executable,
        "-c",
        MEASURED,
        "score",
        "--ref",
        crowd / "ref",
        "--hyp",
        crowd / "hyp.trn",
    ]
    command += ["--out", tmp_path / "score", "--alignment", alignment]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, timeout=300)
    seconds, gibibytes = map(float, re.search(r"MEASURED (\S+) (\S+)", done.stdout).groups())
    print(f"{alignment}: {seconds:.1f} s, {gibibytes:.2f} GiB")
    assert "%WER " in done.stdout
    assert len(read_score(tmp_path / "score").utterances) == CROWD
    assert gibibytes < 2
    assert seconds < 60
