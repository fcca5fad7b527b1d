"""Scores in characters and mixed units: by the command, and what compares, checks and shows them."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jiwer
import pytest

from asrkd.cli.main import run
from asrkd.commands.check import check
from asrkd.commands.compare import CompareRequest, compare
from asrkd.commands.report import ReportRequest, report
from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.evaluation.compare.comparison import read_comparison, write_comparison
from asrkd.evaluation.compare.evidence import error_maps
from asrkd.evaluation.compare.systems import Roles, read_systems
from asrkd.evaluation.compare.table import render
from asrkd.evaluation.report.comparison_section import read_matching
from asrkd.evaluation.report.systems import read_systems as read_shown
from asrkd.scoring.edits import error_map
from asrkd.scoring.score_folder import read_score
from asrkd.scoring.units import WORD, find_unit, units

# Reference, hypothesis: what errs in them is counted by hand below.
TEXTS = {
    "chinese-1": ("今天 天气", "今天天气"),  # nothing
    "chinese-2": ("我们 去 吃饭", "我门去吃饭吧"),  # 们 门, 吧 inserted; of 5
    "japanese-1": ("東京タワー に 行く", "東京 タワに行く"),  # ー deleted; of 8
    "switched-1": ("这个 meeting 很 长", "这个meeting很 long"),  # char: see below; mixed: 长 long; of 5
    "thai-1": ("กินน้ำ", "กิน นำ"),  # tone mark deleted; of 6
}
LINES = {
    # 4 + 5 + 8 + 11 + 6 characters; 0 + 2 + 1 + 4 (长 -> long: one substituted, three inserted) + 1 errors.
    "char": "%CER 23.53 [ 8 / 34, 4 ins, 2 del, 2 sub ]",
    # 4 + 5 + 8 + 5 + 6 units; 0 + 2 + 1 + 1 + 1 errors.
    "mixed": "%MER 17.86 [ 5 / 28, 1 ins, 2 del, 2 sub ]",
}


Scored = Callable[..., Path]


@pytest.fixture
def scored(tmp_path, monkeypatch, capsys) -> Scored:
    """Score finished transcripts by the command; what it printed is left in ``out/line``."""

    def make(name: str, *options: str, texts: dict[str, tuple[str, str]] = TEXTS, status: int = 0) -> Path:
        for side, suffix in enumerate(("ref", "hyp")):
            lines = (f"{utt_id} {pair[side]}\n" for utt_id, pair in texts.items())
            (tmp_path / f"{name}.{suffix}").write_text("".join(lines), encoding="utf-8")
        given = ["--ref", f"{tmp_path}/{name}.ref", "--hyp", f"{tmp_path}/{name}.hyp"]
        out = tmp_path / name
        monkeypatch.setattr("sys.argv", ["asrkd", "score", *given, "--out", str(out), *options])
        with pytest.raises(SystemExit) as ended:
            run()
        assert ended.value.code == status
        printed = capsys.readouterr()
        (tmp_path / f"{name}.out").write_text(printed.out)
        (tmp_path / f"{name}.err").write_text(printed.err)
        return out

    return make


def printed(out: Path, stream: str = "out") -> str:
    return out.with_name(f"{out.name}.{stream}").read_text()


def test_blanks_that_nobody_says_are_no_errors_of_characters(scored):
    expected = {"word": "%WER 100.00 [ 2 / 2", "char": "%CER 0.00 [ 0 / 4", "mixed": "%MER 0.00 [ 0 / 4"}
    for unit, line in expected.items():
        out = scored(unit, "--unit", unit, texts={"a-1": TEXTS["chinese-1"]})
        assert printed(out).startswith(line)


@pytest.mark.parametrize("unit", ["char", "mixed"])
def test_chinese_japanese_thai_and_switched_by_hand(scored, unit):
    out = scored("score", "--unit", unit)
    assert printed(out) == f"{LINES[unit]} levenshtein {out}\n"
    score, kept = read_score(out), find_unit(unit)
    assert score.unit == kept
    record = files.read_json(out / "score.json")
    rate, errors = kept.rate.lower(), score.counts.errors
    assert record["unit"]["name"] == files.read_json(out / "request.json")["unit"]["name"] == unit
    assert record[rate] == pytest.approx(errors / score.counts.num_words)
    assert "wer" not in record
    by_hand = {"char": [0, 2, 1, 4, 1], "mixed": [0, 2, 1, 1, 1]}[unit]
    assert [one.counts.errors for one in score.utterances] == by_hand
    assert score.utterances[0].reference == "今天 天气"  # as it is read, not as it is cut
    said, heard = ([" ".join(units(pair[side], kept)) for pair in TEXTS.values()] for side in (0, 1))
    assert record[rate] == pytest.approx(jiwer.wer(said, heard))
    glued = [["".join(pair[side].split()) for pair in TEXTS.values()] for side in (0, 1)]
    assert record["cer"] == pytest.approx(jiwer.cer(*glued))


def test_the_files_for_other_tools_have_the_units_apart(scored):
    out = scored("score", "--unit", "mixed")
    assert (out / "text").read_text().splitlines()[3] == "switched-1 这 个 meeting 很 long"
    assert (out / "ref.trn").read_text().splitlines()[0] == "今 天 天 气 (chinese-1-chinese-1)"
    assert "switched-1:\tref=['这', '个', 'meeting', '很', '长']" in (out / "recogs-score.txt").read_text()
    details = (out / "errs-score.txt").read_text().splitlines()
    assert details[0] == "%MER = 17.86"
    assert details[1].endswith("over 28 reference units (24 correct)")
    assert "chinese-2:\t我 (们->门) 去 吃 饭 (*->吧)" in details
    assert "1   长 -> long" in details


def test_a_score_of_words_has_the_files_it_had_but_for_its_unit(scored):
    """And a folder of before there were units is complete, not made from something else."""
    out = scored("score", "--alignment", "sclite")
    assert "unit" not in files.read_json(out / "request.json")
    record = files.read_json(out / "score.json")
    assert record.pop("unit")["name"] == "word"
    assert {"wer", "cer"} < record.keys()
    files.write_json(out / "score.json", record)  # as it was
    assert read_score(out).unit == WORD
    scored("score", "--alignment", "sclite")
    assert printed(out).endswith("(already complete)\n")
    assert check(out).problems == ()
    scored("score", "--unit", "char", "--alignment", "sclite", status=1)
    assert re.search("created with other settings: unit was not set, is now .*'char'", printed(out, "err"))


def test_a_unit_of_other_rules_is_refused_with_the_remedy(scored):
    out = scored("score", "--unit", "char")
    record = files.read_json(out / "score.json")
    files.write_json(out / "score.json", record | {"unit": record["unit"] | {"version": 0}})
    with pytest.raises(AsrkdError, match=r"score.json: its unit .*; make the score again: rm -r .*"):
        read_score(out)


def test_scores_of_different_units_are_not_compared(scored):
    a, b, c = (scored(name, "--unit", unit) for name, unit in (("a", "char"), ("b", "mixed"), ("c", "word")))
    with pytest.raises(AsrkdError) as refused:
        compare(CompareRequest([a, b]), None)
    assert re.search(
        r"b: unit mixed 1 \(.*\), but .*a has char 1 \(.*\); score both with the same options",
        str(refused.value),
    )
    assert str(refused.value).endswith(
        "asrkd score ... --normalizer none --unit char --alignment levenshtein"
    )
    for mixture in ([c, a], [b, c]):
        with pytest.raises(AsrkdError, match="score both with the same options"):
            compare(CompareRequest(mixture), None)


@pytest.mark.parametrize("unit", ["char", "mixed"])
def test_a_comparison_is_of_the_unit(scored, tmp_path, unit):
    other = {utt_id: (pair[0], pair[0].replace("天", "夭")) for utt_id, pair in TEXTS.items()}
    a, b = scored("a", "--unit", unit), scored("b", "--unit", unit, texts=other)
    found = compare(CompareRequest([a, b], roles=Roles(baseline="a")), tmp_path / "compare.json")
    counts = [read_score(folder).counts for folder in (a, b)]
    assert found.unit == find_unit(unit)
    assert found.num_words == counts[0].num_words
    assert [system.wer for system in found.systems] == [one.errors / one.num_words for one in counts]
    shown = render(found, styled=False)
    assert f"{found.unit.rate} %" in shown
    assert "WER" not in shown
    assert read_comparison(tmp_path / "compare.json") == found


def test_the_segments_that_are_tested_are_made_of_units(scored):
    out = scored("a", "--unit", "mixed")
    (system,) = read_systems([out], "score-test", Roles())
    (found,) = error_maps(system)
    by_hand = error_map(["====", "=S===I", "====D===", "====S", "====D="])
    for name in ("wrong", "inserted", "ends"):
        assert getattr(found, name).tolist() == getattr(by_hand, name).tolist()


def test_a_comparison_of_before_there_were_units_is_of_words(scored, tmp_path):
    found = compare(CompareRequest([scored("a"), scored("b")]), tmp_path / "compare.json")
    old = files.read_json(tmp_path / "compare.json")
    assert old.pop("unit")["name"] == "word"
    files.write_json(tmp_path / "old.json", old)
    assert read_comparison(tmp_path / "old.json") == found


def test_the_page_is_in_characters_and_finds_unspaced_text(scored, tmp_path):
    a, b = scored("a", "--unit", "char"), scored("b", "--unit", "char")
    report(ReportRequest([a, b], tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    for said in ("Character error rate", "CER, %", "34 characters", "blanks are ignored"):
        assert said in text, said
    assert not re.search(r"\bWER\b|[Ww]ord error rate|\d words\b", text)
    data = json.loads(re.search(r'id="utterance-data">(.*?)</script>', page, re.DOTALL)[1])
    assert data["unit"] == "char"
    (row,) = (one for one in data["utterances"] if one["id"] == "chinese-2")
    assert row["reference"] == list("我们去吃饭")
    assert row["errors"][0] == [[1, 0, "门"], [5, 1, "吧"]]


def test_a_comparison_of_words_needs_scores_of_words(scored, tmp_path):
    words = [scored(name, texts={"x": ("好", "坏")}) for name in ("a", "b")]
    write_comparison(tmp_path / "compare.json", compare(CompareRequest(words), None))
    for folder in words:
        folder.rename(folder.with_name(f"{folder.name}-words"))
    chars = [scored(name, "--unit", "char", texts={"x": ("好", "坏")}) for name in ("a", "b")]
    with pytest.raises(AsrkdError, match="compares other systems, roles or scores"):
        read_matching(tmp_path / "compare.json", read_shown(chars, "score-test", Roles()))


def test_check_counts_the_units_again(scored):
    out = scored("score", "--unit", "mixed")
    found = check(out)
    assert found.problems == ()
    assert "28 units of 5 utterances" in found.text()
    assert "5 errors by jiwer's count" in found.text()


def test_references_of_blanks_alone_have_no_rate(scored):
    out = scored("score", "--unit", "char", texts={"x": ("\u200b", "好")}, status=1)
    assert "no characters in the references of 1 utterances ('x')" in printed(out, "err")


TURKISH = {
    "a-1": ("İstanbul'da IŞIK var", "istanbul'da ışık var"),
    "a-2": ("KAPI açıldı", "kapı açıldı"),
    "a-3": ("iyi günler", "İYİ GÜNLER"),
}


def test_turkish_has_its_case_rules_or_a_warning(scored):
    own = scored("own", "--normalizer", "turkish", texts=TURKISH)
    assert printed(own).startswith("%WER 0.00 [ 0 / 7")
    assert printed(own, "err") == ""
    basic = scored("basic", "--normalizer", "basic", texts=TURKISH)
    assert printed(basic).startswith("%WER 28.57 [ 2 / 7")  # IŞIK and KAPI
    (line,) = printed(basic, "err").splitlines()
    assert re.fullmatch("asrkd: texts contain İ or ı, e.g. .*score with --normalizer turkish", line)
    for options, texts in (((), TURKISH), (("--normalizer", "basic"), TEXTS)):
        out = scored(f"silent{len(options)}", *options, texts=texts)
        assert printed(out, "err") == ""


def test_a_model_is_scored_in_characters(teacher, corpus, tmp_path, monkeypatch, capsys):
    out = tmp_path / "score"
    given = ["--cuts", str(corpus / "cuts_dev.jsonl.gz"), "--out", str(out), "--unit", "char"]
    monkeypatch.setattr("sys.argv", ["asrkd", "score", str(teacher), *given])
    with pytest.raises(SystemExit, match="0"):
        run()
    line = capsys.readouterr().out
    score = read_score(out)
    said, heard = (
        ["".join(getattr(one, side).split()) for one in score.utterances]
        for side in ("reference", "hypothesis")
    )
    theirs = jiwer.process_characters(said, heard)
    assert score.counts.errors == theirs.substitutions + theirs.deletions + theirs.insertions > 0
    assert line.startswith(f"%CER {100 * theirs.cer:.2f} [ ")
    assert check(out).problems == ()
    assert all(one.counts == replace(one.counts, **vars(one.character_counts)) for one in score.utterances)
