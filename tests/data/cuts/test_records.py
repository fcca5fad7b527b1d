"""A cut's identity read from its line is the identity of the cut that lhotse makes of it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lhotse import AudioSource, MonoCut, Recording, SupervisionSegment
from lhotse.serialization import deserialize_item

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.records import cut_digest, parse_record

CHANGES = {
    "speed": lambda cut: cut.perturb_speed(1.1),
    "slow": lambda cut: cut.perturb_speed(0.9),
    "volume": lambda cut: cut.perturb_volume(0.5),
    "tempo": lambda cut: cut.perturb_tempo(1.1),
    "resample": lambda cut: cut.resample(16000),
    "truncate": lambda cut: cut.truncate(offset=cut.duration / 4, duration=cut.duration / 2),
}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(4000, 400_000),
    st.lists(st.sampled_from(sorted(CHANGES)), max_size=3),
    st.one_of(st.none(), st.dictionaries(st.sampled_from(["audio_sha256", "other"]), st.text(max_size=5))),
)
def test_the_digest_of_a_line_is_that_of_the_cut(num_samples, changes, custom):
    recording = Recording("r", [AudioSource("file", [0], "a.wav")], 8000, num_samples, num_samples / 8000)
    cut = MonoCut("c", 0.0, recording.duration, 0, recording=recording, custom=custom)
    for change in changes:
        cut = CHANGES[change](cut)
    line = json.loads(json.dumps(cut.to_dict()))
    read = parse_record(Path("m"), 1, line)
    assert read.digest == cut_digest(cut) == cut_digest(deserialize_item(dict(line)))
    assert (read.id, read.duration, read.sampling_rate) == (cut.id, cut.duration, cut.sampling_rate)


def test_lines_have_the_digests_and_texts_of_their_cuts(corpus):
    from asrkd.core import files
    from asrkd.data.cuts.manifests import read_cuts

    path = corpus / "cuts_train.jsonl.gz"
    lines = [parse_record(path, number, record) for number, record in files.read_jsonl(path)]
    for line, cut in zip(lines, read_cuts(path), strict=True):
        assert line.digest == cut_digest(replace(cut))
        assert line.texts == (cut.supervisions[0].text,)


@pytest.mark.parametrize(
    ("broken", "complaint"), [({"id": 5}, "id is 5"), ({"supervisions": [{"text": 7}]}, "text is 7")]
)
def test_ids_and_transcripts_that_are_numbers_are_told(broken, complaint):
    recording = Recording("r", [AudioSource("file", [0], "a.wav")], 8000, 8000, 1.0)
    line = MonoCut("c", 0.0, 1.0, 0, recording=recording).to_dict()
    with pytest.raises(AsrkdError, match=f"m:7: not a lhotse cut: .*{complaint}, expected a string"):
        parse_record(Path("m"), 7, line | broken)


@pytest.mark.parametrize("record", [{}, {"type": "MixedCut"}, {"type": "MonoCut", "recording": {}}])
def test_a_line_that_is_no_cut_is_told(record):
    with pytest.raises(AsrkdError, match="m:7: not a lhotse cut"):
        parse_record(Path("m"), 7, record)


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (("duration",), math.nan, "duration is nan, expected a finite number"),
        (("duration",), 0.0, "duration is 0.0, expected a number greater than 0"),
        (("duration",), 10**400, "duration is 1000.*, expected a number"),
        (("start",), -0.5, "start is -0.5, expected a number greater than or equal to 0"),
        (("channel",), [0, 1], r"channel is \[0, 1\], expected an integer"),
        (("recording", "sampling_rate"), "8000", "recording.sampling_rate is '8000', expected a number"),
        (("recording", "num_samples"), math.inf, "recording.num_samples is inf, expected a finite number"),
        (
            ("recording", "sources", 0, "source"),
            None,
            "recording.sources.0.source is None, expected a string",
        ),
        (("supervisions", 0, "start"), math.inf, "supervisions.0.start is inf, expected a finite number"),
        (("supervisions",), {"text": "A"}, "supervisions is .*, expected a list"),
    ],
)
def test_a_wrong_field_is_reported_with_line_and_place(place, value, complaint):
    recording = Recording("r", [AudioSource("file", [0], "a.wav")], 8000, 8000, 1.0)
    supervision = SupervisionSegment("s", "r", 0.0, 1.0, text="A")
    line = MonoCut("c", 0.0, 1.0, 0, [supervision], recording=recording).to_dict()
    assert parse_record(Path("m"), 7, json.loads(json.dumps(line))).texts == ("A",)
    inner = line = json.loads(json.dumps(line))
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(AsrkdError, match=f"^m:7: not a lhotse cut: {complaint}"):
        parse_record(Path("m"), 7, line)
