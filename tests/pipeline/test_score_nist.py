"""`asrkd score --ref x.stm --hyp y.ctm`: words by time, alternatives, refusals; comparing such scores."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asrkd.cli import main
from asrkd.commands import compare as compare_stage
from asrkd.commands.checks.findings import Findings
from asrkd.commands.checks.folders import audit_score
from asrkd.commands.compare import CompareRequest
from asrkd.commands.report import ReportRequest, report
from asrkd.commands.score_transcripts import TranscriptsReport, TranscriptsRequest, score_transcripts
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.stopping import StopRequest
from asrkd.evaluation.compare.evidence import error_maps
from asrkd.evaluation.compare.systems import Roles, read_systems
from asrkd.evaluation.report import systems as reporting_systems
from asrkd.evaluation.report.inherited import aligned_utterances, inheritances
from asrkd.scoring import nist
from asrkd.scoring.counts import Counts
from asrkd.scoring.nist_rules import parse_nist_rules
from asrkd.scoring.score_folder import ScoredUtterance, read_score, require_comparable
from asrkd.scoring.timed_corpus import are_nist_files
from tests import forked

STM = """\
;; LABEL "o" "Overall" ""
** a comment of another kind
f1 A ann 0.00 2.00 <o,f0,male> Hello { um / uh / @ } there

f1 A bob 2.00 4.00 again
f1 B ann 0 9.5 IGNORE_TIME_SEGMENT_IN_SCORING
f1 B ann 9.5 12 { i am / i'm } here
"""
CTM = """\
; a comment
f1 A 0.10 0.30 hello 0.98
f1 A 0.60 0.30 there NA
f1 A 2.50 0.30 a
f1 B 1.00 0.50 not
f1 B 9.60 0.10 I'm
f1 B 9.80 0.10 here
"""


def score(
    folder: Path,
    stm: str = STM,
    ctm: str = CTM,
    alignment: str | None = None,
    normalizer: str | None = None,
    name: str = "score",
    unit: str = "word",
    **more: object,
) -> TranscriptsReport:
    (folder / "x.stm").write_text(stm, encoding="utf-8")
    (folder / f"{name}.ctm").write_text(ctm, encoding="utf-8")
    rules = parse_nist_rules(alignment, normalizer, unit)
    request = TranscriptsRequest(folder / "x.stm", folder / f"{name}.ctm", folder / name, rules=rules, **more)
    return score_transcripts(request, StopRequest())


def utterances(folder: Path) -> list[ScoredUtterance]:
    return read_score(folder / "score").utterances


def run(*arguments: object) -> tuple[int, str]:
    done = forked.run(
        [sys.executable, "-m", "asrkd", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_small_score_by_hand(tmp_path):
    found = score(tmp_path)
    assert found.text() == f"%WER 20.00 [ 1 / 5, 0 ins, 0 del, 1 sub ] sclite {tmp_path / 'score'}"
    first, second, third = utterances(tmp_path)
    assert first.id == "f1-A-00000000-00002000" and third.id == "f1-B-00009500-00012000"
    assert (first.speaker, first.recording, first.duration_s) == ("ann", "f1-A", 2.0)
    assert (first.reference, first.hypothesis, first.counts) == ("hello there",) * 2 + (Counts(2, 0, 0, 0),)
    assert (second.speaker, second.reference, second.hypothesis) == ("bob", "again", "a")
    assert (third.reference, third.hypothesis, third.counts) == ("i'm here",) * 2 + (Counts(2, 0, 0, 0),)
    record = json.loads((tmp_path / "score" / "score.json").read_text())
    assert (record["set"], record["alignment"], record["normalizer"]["name"]) == ("x", "sclite", "sclite")
    assert record["interval"]["resampled"] == "speakers"


def test_the_files_are_those_that_people_know(tmp_path):
    score(tmp_path)
    out = tmp_path / "score"
    assert (out / "ref.trn").read_text().splitlines() == [
        "hello { um / uh / @ } there (ann-f1-A-00000000-00002000)",
        "again (bob-f1-A-00002000-00004000)",
        "{ i am / i'm } here (ann-f1-B-00009500-00012000)",
    ]
    assert (out / "recogs-x.txt").read_text().splitlines()[4:] == [
        "f1-B-00009500-00012000:\tref=[\"i'm\", 'here']", "f1-B-00009500-00012000:\thyp=[\"i'm\", 'here']"
    ]  # fmt: skip
    errors = (out / "errs-x.txt").read_text()
    assert "f1-A-00002000-00004000:\t(again->a)" in errors and "over 5 reference words (4 correct)" in errors
    assert (out / "text").read_text().splitlines()[0] == "f1-A-00000000-00002000 hello there"


def test_words_go_to_segments_by_their_middles(tmp_path):
    """Between segments and on a boundary to the next one, behind the last one to that."""
    stm = "f A s 1 2 a\nf A s 3 4 b\nf A s 4 5\n"
    times = [("0.1", "p"), ("1.9", "q"), ("2.0", "r"), ("3.9", "u"), ("3.95", "v"), ("8", "w")]
    score(tmp_path, stm, "".join(f"f A {begin} 0.1 {word}\n" for begin, word in times))
    assert [one.hypothesis for one in utterances(tmp_path)] == ["p q", "r u", "v w"]


def test_an_end_is_kept_in_single_precision_as_in_sclite(tmp_path):
    """2.3 becomes 2.29999995, 0.1 becomes 0.100000001."""
    stm = "f A s 0 0.1 a\nf A s 0.1 2.3 b\nf A s 2.3 4 c\n"
    score(tmp_path, stm, "f A 0.1 0 x\nf A 2.29999996 0 y\n")
    assert [one.hypothesis for one in utterances(tmp_path)] == ["x", "", "y"]


def test_words_of_segments_that_are_not_scored_count_nowhere(tmp_path):
    stm = "f A inter_segment_gap 0 5 <o,,unknown> ignore_time_segment_in_scoring\nf A s 5 9 a\n"
    score(tmp_path, stm, "f A 1 0.1 x\nf A 4.9 0.1 y\nf A 6 0.1 a\n")
    (only,) = utterances(tmp_path)
    assert only.counts == Counts(1, 0, 0, 0)


def test_segments_without_words_have_insertions(tmp_path):
    score(
        tmp_path, "f A s 0 1\nf A s 1 2 <o>\nf A s 2 3 c\n", "f A 0.1 0.1 x\nf A 1.1 0.1 y\nf A 2.1 0.1 c\n"
    )
    assert [one.counts for one in utterances(tmp_path)] == [Counts(0, 0, 0, 1)] * 2 + [Counts(1, 0, 0, 0)]


def test_overlapping_segments_share_no_word(tmp_path):
    stm, times = "f A s 0 2 a b\nf A t 1 3 c d\n", [(0, "a"), (1.1, "c"), (1.5, "b"), (2.1, "d"), (9, "x")]
    score(tmp_path, stm, "".join(f"f A {begin} 0.1 {word}\n" for begin, word in times))
    first, second = utterances(tmp_path)
    assert (first.hypothesis, first.counts) == ("a c b", Counts(2, 0, 0, 1))
    assert (second.hypothesis, second.counts) == ("d x", Counts(1, 0, 1, 1))


def test_the_order_of_lines_says_nothing(tmp_path):
    score(tmp_path)
    whole = [(one.id, one.counts) for one in utterances(tmp_path)]
    (tmp_path / "other").mkdir()
    score(tmp_path / "other", *("\n".join(text.splitlines()[::-1]) for text in (STM, CTM)))
    assert [(one.id, one.counts) for one in utterances(tmp_path / "other")] == whole


def test_gzip_tabs_crlf_and_a_byte_order_mark_say_nothing(tmp_path):
    for name, text in (("x.stm.gz", STM), ("y.ctm.gz", CTM)):
        with gzip.open(tmp_path / name, "wb") as stream:
            stream.write(("\ufeff" + text.replace(" ", "\t", 3).replace("\n", "\r\n")).encode())
    rules = parse_nist_rules(None, None)
    request = TranscriptsRequest(
        tmp_path / "x.stm.gz", tmp_path / "y.ctm.gz", tmp_path / "score", rules=rules
    )
    assert "[ 1 / 5, 0 ins, 0 del, 1 sub ]" in score_transcripts(request, StopRequest()).text()


@pytest.mark.parametrize(
    ("tail", "hypothesis"),
    [
        ("b\n<ALT>\na\n", "a"),
        ("b\n<ALT>\n", ""),  # an empty last alternative is no word
        ("@\n<ALT>\nx\n", ""),
        ("x\n", "x"),
        ("a\nb\n<ALT>\nb\n", "b"),
    ],
)
def test_alternatives_in_a_ctm_are_chosen_by_the_reference(tmp_path, tail, hypothesis):
    reference = hypothesis if hypothesis != "x" else "a"
    tags = ["<ALT_BEGIN>", *tail.split(), "<ALT_END>"]
    lines = [f"f A {'* *' if word.startswith('<') else '0.5 0.1'} {word}" for word in tags]
    score(tmp_path, f"f A s 0 1 z {reference}\n", "\n".join(["f A 0.1 0.1 z", *lines]))
    (only,) = utterances(tmp_path)
    assert only.hypothesis == f"z {hypothesis}".rstrip()


def test_alternatives_go_to_the_segment_of_their_last_middle(tmp_path):
    lines = ["f A * * <ALT_BEGIN>", "f A 0.5 0.1 a", "f A * * <ALT>", "f A 1.5 0.1 b", "f A * * <ALT_END>"]
    score(tmp_path, "f A s 0 1 a\nf A s 1 2 b\n", "\n".join(lines))
    assert [one.hypothesis for one in utterances(tmp_path)] == ["", "b"]


def test_optional_words_and_fragments_where_they_are_asked_for(tmp_path, capsys):
    stm, ctm = "f A s 0 9 a (uh) (um) b- c\n", "f A 1 1 a\nf A 2 1 um\nf A 3 1 big\nf A 4 1 c\n"
    assert "[ 3 / 5, 0 ins, 1 del, 2 sub ]" in score(tmp_path, stm, ctm, name="plain").text()
    assert "2 words in round brackets, such as (uh)," in capsys.readouterr().err
    assert "[ 1 / 5, 0 ins, 0 del, 1 sub ]" in score(tmp_path, stm, ctm, "sclite-D", name="D").text()
    assert "[ 2 / 5, 0 ins, 1 del, 1 sub ]" in score(tmp_path, stm, ctm, "sclite-F", name="F").text()
    assert "[ 0 / 5, 0 ins, 0 del, 0 sub ]" in score(tmp_path, stm, ctm, "sclite-DF", name="DF").text()
    (only,) = read_score(tmp_path / "DF").utterances
    assert only.reference == only.hypothesis == "a um big c" and only.counts == Counts(5, 0, 0, 0)
    errors = (tmp_path / "DF" / "errs-x.txt").read_text()
    assert "Correct without a counterpart, and not listed below: 1 optional words" in errors


def test_the_fewest_errors_can_be_asked_for(tmp_path):
    """Three substitutions are fewer than two deletions and two insertions, which cost sclite as much."""
    stm, ctm = "f A s 0 9 b b b d { c / x }\n", "".join(f"f A {n} 1 {w}\n" for n, w in enumerate("dccd"))
    assert "3 del" in score(tmp_path, stm, ctm, name="sclite").text()
    score(tmp_path, stm, ctm, "levenshtein", name="fewest")
    findings = Findings()
    audit_score(tmp_path / "fewest", findings)
    assert findings.problems == [] and "4 errors by jiwer's count" in findings.notes[-1]
    assert read_score(tmp_path / "fewest").counts.errors == 4
    assert read_score(tmp_path / "sclite").counts.errors == 5


def test_a_normalizer_applies_within_alternatives(tmp_path):
    stm = "f A s 0 9 WELL-known { e.g. / ... } (Uh) { @ / Ünder- } b\n"
    score(tmp_path, stm, "f A 1 1 b\n", "sclite-DF", "basic")
    (only,) = utterances(tmp_path)
    assert only.transcript == "well known { e g / @ } (uh) { @ / ünder- } b"
    assert only.counts == Counts(2, 0, 2, 0)  # b, and (uh) that was left out
    score(tmp_path, stm, "f A 1 1 b\n", "sclite", "none", name="none")
    (only,) = read_score(tmp_path / "none").utterances
    assert only.transcript == "WELL-known { e.g. / ... } (Uh) { @ / Ünder- } b"


def test_a_channel_without_words_is_deletions_and_said(tmp_path, capsys):
    score(tmp_path, "f A s 0 1 a\nF2 B s 0 1 b c\n", "f A 0 1 a\n")
    assert read_score(tmp_path / "score").counts == Counts(1, 0, 2, 0)
    assert "no words for 1 channels of" in (said := capsys.readouterr().err) and "'F2-B'" in said


@pytest.mark.parametrize(
    ("old", "new"),
    [('"edits": "S"', '"edits": ""'), ('"edits": "S"', '"edits": "Z"'), ("network", "net")],
)
def test_a_torn_network_is_a_line_with_its_remedy(tmp_path, old, new):
    score(tmp_path)
    path = tmp_path / "score" / "utterances.jsonl"
    assert old in (text := path.read_text())
    path.write_text(text.replace(old, new))
    with pytest.raises(
        AsrkdError, match=r"utterances.jsonl(:.: not a scored utterance| are not those of score.json).*rm -r"
    ):
        read_score(tmp_path / "score")


TIMES = "expected seconds, a number from 0 to 1e+09"


@pytest.mark.parametrize(
    ("stm", "complaint"),
    [
        ("f A s 0\n", "x.stm:1: expected 'file channel speaker begin end [<label>] words'"),
        ("f A s 0 1 a\nf A s nan 2 b\n", f"x.stm:2: begin 'nan': {TIMES}"),
        ("f A s 0 inf b\n", f"x.stm:1: end 'inf': {TIMES}"),
        ("f A s 0 1e400 b\n", f"x.stm:1: end '1e400': {TIMES}"),
        ("f A s -1 1 b\n", f"x.stm:1: begin '-1': {TIMES}"),
        ("f A s a b c\n", f"x.stm:1: begin 'a': {TIMES}"),
        ("f A s 1_0 20 c\n", f"x.stm:1: begin '1_0': {TIMES}"),
        ("f A s 2 1 b\n", "x.stm:1: end 1 is before begin 2"),
        ("f A s 0 1 a\n\nf A t 0 1.0001 b\n", "x.stm:3: segment f-A-00000000-00001000 (file, channel, times"),
        ("a-b c s 0 1 a\na b-c t 0 1 b\n", "x.stm:2: segment a-b-c-00000000-00001000"),
        ("f A s 0 1 a\nF A s 1 2 b\n", "x.stm:2: F-A is f-A in line 1"),
        (";; nothing\n", "x.stm: no segment to be scored"),
        ("f A s 0 1 ignore_time_segment_in_scoring\n", "x.stm: no segment to be scored"),
        ("f A s 0 1 @ { @ / @ }\n", "x.stm: no words in the 1 segments to be scored"),
        ("f A s 0 1 a { b\n", "x.stm:1: a { without its }"),
    ],
)
def test_an_stm_that_cannot_be_scored_is_a_line_that_says_where(tmp_path, stm, complaint):
    refused(tmp_path, stm, "", complaint)


@pytest.mark.parametrize(
    ("ctm", "complaint"),
    [
        ("f A 0 1\n", "score.ctm:1: expected 'file channel begin duration word'"),
        ("\n;\nf A x 1 a\n", f"score.ctm:3: begin 'x': {TIMES}"),
        ("f A 0 nan a\n", f"score.ctm:1: duration 'nan': {TIMES}"),
        ("f A 0 -1 a\n", f"score.ctm:1: duration '-1': {TIMES}"),
        ("f A * * a\n", f"score.ctm:1: begin '*': {TIMES}"),
        ("f A 0 1 a\ng A 0 1 a\nf B 0 1 a\n", "score.ctm:2: file and channel g a are not in"),
        ("f A * * <ALT>\n", "score.ctm:1: <ALT> without its <ALT_BEGIN>"),
        ("f A * * <ALT_BEGIN>\nf A 0 1 a\n", "score.ctm:1: <ALT_BEGIN> of f-a without its <ALT_END>"),
        ("f A * * <ALT_BEGIN>\n" * 2, "score.ctm:2: <ALT_BEGIN> in alternatives, which cannot be nested"),
        (
            "f A * * <ALT_BEGIN>\nf A * * <ALT>\nf A 0 1 a\nf A * * <ALT_END>\n",
            "score.ctm:4: empty alternative before the last one",
        ),
        ("f A * * <ALT_BEGIN>\nf A * * <ALT_END>\n", "score.ctm:2: alternatives without words"),
        ("f A 0 1 <alto>\n", "score.ctm:1: '<alto>': expected a word, or one of the tags"),
        ("f A 0 1 a\u00a0b\n", r"score.ctm:1: blank in the word 'a\xa0b'"),
    ],
)
def test_a_ctm_that_cannot_be_scored_is_a_line_that_says_where(tmp_path, ctm, complaint):
    refused(tmp_path, "f A s 0 1 a\n", ctm, complaint)


def refused(folder: Path, stm: str, ctm: str, complaint: str) -> None:
    with pytest.raises(AsrkdError) as error:
        score(folder, stm, ctm)
    assert str(error.value).startswith(f"{folder}/{complaint}") and "\n" not in str(error.value)
    assert not (folder / "score").exists()


def test_speakers_are_those_of_the_stm(tmp_path):
    with pytest.raises(AsrkdError, match="--utt2spk .*: an stm names its speakers; remove --utt2spk"):
        score(tmp_path, utt2spk=tmp_path / "utt2spk")


@pytest.mark.parametrize(
    ("ref", "hyp", "expected"),
    [
        ("x.stm", "y.ctm", True),
        ("x.stm.gz", "y.ctm", True),
        ("stm.txt", "y.ctm", True),  # told by what it holds
        ("x.stm", "ctm.txt", True),
        ("stm.txt", "ctm.txt", False),
        ("text", "x.trn", False),
        ("x.stm", "x.trn", None),
        ("x.stm", "text", None),
        ("x.trn", "y.ctm", None),
        ("y.ctm", "x.stm", None),
        ("y.ctm", "y.ctm", None),
        ("other.txt", "y.ctm", None),
    ],
)
def test_an_stm_and_a_ctm_go_together_and_with_nothing_else(tmp_path, ref, hyp, expected):
    texts = {"stm.txt": STM, "ctm.txt": CTM, "other.txt": "u1 a b c d\n"}
    for name in (ref, hyp):
        (tmp_path / name).write_text(texts.get(name, ""))
    if expected is None:
        with pytest.raises(AsrkdError, match="an stm can only be scored against a ctm"):
            are_nist_files(tmp_path / ref, tmp_path / hyp)
    else:
        assert are_nist_files(tmp_path / ref, tmp_path / hyp) is expected


def test_the_command_defaults_to_sclites_rules(tmp_path):
    (tmp_path / "x.stm").write_text(STM)
    (tmp_path / "y.ctm").write_text(CTM)
    files = ("--ref", tmp_path / "x.stm", "--hyp", tmp_path / "y.ctm", "--out", tmp_path / "score")
    status, text = run("score", *files)
    assert (status, text.startswith("%WER 20.00 [ 1 / 5, 0 ins, 0 del, 1 sub ] sclite ")) == (0, True)
    status, text = run("score", *files[:5], tmp_path / "other", "--normalizer", "none")
    assert (status, "[ 3 / 5, 0 ins, 0 del, 3 sub ]" in text) == (0, True)  # Hello, again, I'm


@pytest.mark.parametrize("option", ["--alignment", "--normalizer"])
def test_rules_that_there_are_not_are_one_line(tmp_path, monkeypatch, capsys, option):
    (tmp_path / "x.stm").write_text(STM)
    (tmp_path / "y.ctm").write_text(CTM)
    files = ["--ref", str(tmp_path / "x.stm"), "--hyp", str(tmp_path / "y.ctm"), "--out", str(tmp_path / "o")]
    monkeypatch.setattr(sys, "argv", ["asrkd", "score", *files, option, "other"])
    with pytest.raises(SystemExit) as stop:
        main.run()
    assert stop.value.code == 1 and f"asrkd: {option} other: " in (said := capsys.readouterr().err)
    assert said.count("\n") == 1 and not (tmp_path / "o").exists()


def test_equal_files_are_complete_and_others_are_refused(tmp_path):
    assert score(tmp_path).was_complete is False and score(tmp_path).was_complete is True
    with pytest.raises(AsrkdError, match="created with other settings: hypotheses has changed"):
        score(tmp_path, ctm=CTM.replace("hello", "yellow"))
    with pytest.raises(AsrkdError, match="created with other settings: references has changed"):
        score(tmp_path, stm=STM.replace("bob", "cy"))


class StopAtOnce(StopRequest):
    """Asked before anything began."""

    def reason(self) -> str | None:
        """As if by a signal."""
        return "SIGTERM"


def test_a_stop_leaves_a_folder_that_is_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(nist, "AT_ONCE", 1)
    (tmp_path / "x.stm").write_text(STM)
    (tmp_path / "score.ctm").write_text(CTM)
    asked = TranscriptsRequest(
        tmp_path / "x.stm", tmp_path / "score.ctm", tmp_path / "score", rules=parse_nist_rules(None, None)
    )
    with pytest.raises(StoppedInTime, match="1 of 3 utterances were aligned"):
        score_transcripts(asked, StopAtOnce())
    assert not (tmp_path / "score" / "score.json").exists()
    assert "[ 1 / 5," in score_transcripts(asked, StopRequest()).text()


# Three systems on one stm. Which alternatives they take is not the same, what they are asked to say is.
WORDS = "we { are not / aren't } { um / @ } going { to / @ } town"
SYSTEMS = {
    "teacher": "we aren't um going to town",
    "baseline": "we are going down",
    "student": "he are nut going town",
}


@pytest.fixture
def systems(tmp_path) -> Path:
    for name, text in SYSTEMS.items():
        stm, ctm = "", ""
        for number in range(4):
            stm += f"f A s{number} {number} {number + 1} {WORDS}\n"
            heard = text.split() if number < 3 or name != "student" else ["oh"]
            ctm += "".join(f"f A {number}.{place} 0.1 {word}\n" for place, word in enumerate(heard))
        score(tmp_path, stm, ctm, name=name)
    return tmp_path


def folders(systems: Path) -> list[Path]:
    return [systems / name for name in SYSTEMS]


def test_systems_that_took_other_alternatives_are_comparable(systems):
    scores = [read_score(folder) for folder in folders(systems)]
    require_comparable(scores)
    assert len({each.utterances[0].reference for each in scores}) == 2
    assert len({each.references_sha256 for each in scores}) == 1
    score(systems, STM, CTM, name="other")
    with pytest.raises(AsrkdError, match="references .*, but .* has "):
        require_comparable([scores[0], read_score(systems / "other")])


def test_error_maps_have_the_same_places_and_all_errors(systems):
    read = read_systems(folders(systems), "score", Roles())
    maps = [error_maps(system)[0] for system in read]
    for each, system in zip(maps, read, strict=True):
        assert (each.ends == maps[0].ends).all()
        assert int((each.wrong + each.inserted).sum()) == system.runs[0].score.counts.errors
    # we, are not, um, going, to, town, end
    assert maps[1].wrong[:7].tolist() == [False, True, False, False, False, True, False]
    assert maps[2].wrong[:7].tolist() == [True, True, False, False, False, False, False]


def test_rates_in_a_comparison_are_those_of_the_scores(systems):
    """Each over the words that its own alternatives have."""
    found = compare_stage.compare(CompareRequest(folders(systems), "score"), None)
    for system in found.systems:
        (folder,) = (path for path in folders(systems) if path.name == system.name)
        assert system.wer == pytest.approx(read_score(folder).counts.wer, abs=1e-12)


def test_errors_are_inherited_slot_by_slot(systems):
    read = reporting_systems.read_systems(folders(systems), "score", Roles())
    rows = dict(aligned_utterances(read))
    words = rows["f-A-00000000-00001000"][0].words
    assert words == ("we", "are/aren't", "not/@", "um/@", "going", "to/@", "town")
    for row in rows.values():
        assert all(one.words == words for one in row)
    (found,) = inheritances(read)
    tallied = (found.counts.teacher, found.counts.baseline, found.counts.student)
    errors = [system.score.counts.errors for system in read]
    assert [sum(counter.values()) for counter in tallied] == errors


def test_a_report_and_a_check_take_such_scores(systems):
    report(ReportRequest(folders(systems), systems / "r.html", "score", Roles(), None, None, 3, 3))
    assert "are/aren" in (systems / "r.html").read_text()
    findings = Findings()
    audit_score(systems / "student", findings)
    assert findings.problems == []


CHINESE_STM = "f1 A ann 0.00 2.00 <o> 今天 { 天气 / 氣象 } iPhone 好\n"
CHINESE_CTM = "f1 A 0.10 0.30 今\nf1 A 0.40 0.20 天氣\nf1 A 0.60 0.20 象好\n"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("char", Counts(5, 0, 6, 0)), ("mixed", Counts(5, 0, 1, 0)), ("word", Counts(0, 3, 1, 0))],
)
def test_words_are_cut_into_units_also_within_alternatives(tmp_path, unit, expected):
    """今天氣象 and 好 are right, and iPhone is missing: six characters, or a word."""
    assert score(tmp_path, CHINESE_STM, CHINESE_CTM, unit=unit).counts == expected
    found = read_score(tmp_path / "score")
    assert found.unit.name == unit
    compare_stage.compare(CompareRequest([tmp_path / "score"], "score", Roles(None, None)), None)


def test_characters_are_those_that_sclite_counts(tmp_path, need):
    environment = {"PATH": need("sctk", "sctk")}
    (tmp_path / "r.stm").write_text("f1 A ann 0.00 2.00 <o> abc de f\nf1 A ann 2.00 3.00 <o> xyz\n")
    (tmp_path / "h.ctm").write_text("f1 A 0.10 0.30 abd\nf1 A 0.60 0.30 def\nf1 A 2.10 0.20 xz\n")
    done = subprocess.run(
        ["sctk", "sclite", "-c", "-r", "r.stm", "stm", "-h", "h.ctm", "ctm", "-o", "rsum", "stdout"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (sums,) = [line for line in done.stdout.splitlines() if "| Sum " in line]
    _, units, hits, substitutions, deletions, insertions = map(int, re.findall(r"\d+", sums)[:6])
    stm, ctm = (tmp_path / "r.stm").read_text(), (tmp_path / "h.ctm").read_text()
    counts = score(tmp_path, stm, ctm, unit="char").counts
    assert counts == Counts(hits, substitutions, deletions, insertions)
    assert counts.num_words == units


def test_optional_words_are_whole_words(tmp_path):
    with pytest.raises(AsrkdError, match="--unit char: --alignment sclite-D has optional words or fragments"):
        score(tmp_path, alignment="sclite-D", unit="char")
