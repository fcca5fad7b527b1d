"""Forms of records: wrong types and ranges are told by their place, in a line, whatever the value is."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrkd.core.schema import Count, Duration, Finite, Name, Record, Schema, Seconds, WholeNumber
from asrkd.data.cuts.records import CUT
from asrkd.targets.store.fields import CONTRACT, ENTRY, NBEST, SOURCES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


class Part(Record):
    """A record inside of another."""

    start: Seconds
    text: str | None = None


class Whole(Record):
    """A record of every type."""

    id: Name
    duration: Duration
    rate: WholeNumber
    score: Finite = 0.0
    count: Count = 0
    parts: list[Part] = []


GOOD = {"id": "a", "duration": 1, "rate": 16000.0, "parts": [{"start": 0.0, "more": [1]}], "more": None}


def test_a_record_may_hold_more_than_its_form_names():
    assert Schema(Whole).check(GOOD).parts[0].start == 0


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"id": 7}, "id is 7, expected a string"),
        ({"id": ""}, "id is '', string should have at least 1 character"),
        ({"duration": 0}, "duration is 0, expected a number greater than 0"),
        ({"duration": math.nan}, "duration is nan, expected a finite number"),
        ({"duration": -math.inf}, "duration is -inf, expected a finite number"),
        ({"duration": "1.5"}, "duration is '1.5', expected a number"),
        ({"duration": True}, "duration is True, expected a number"),
        ({"rate": 16000.5}, "rate is 16000.5, expected a multiple of 1"),
        ({"score": None}, "score is None, expected a number"),
        ({"count": 1.0}, "count is 1.0, expected an integer"),
        ({"count": 2**63}, "count is 9223372036854775808, expected a number less than or equal to"),
        ({"parts": [{"start": 0}, {"start": -1e-9}]}, "parts.1.start is -1e-09, expected a number greater"),
        ({"parts": [{"start": 0, "text": 3}]}, "parts.0.text is 3, expected a string"),
        ({"parts": {}}, "parts is {}, expected a list"),
        ({"parts": [{}]}, "parts.0.start is missing"),
    ],
)
def test_a_wrong_value_is_told_by_its_place(change, complaint):
    with pytest.raises(ValueError, match="^" + complaint.replace("[", r"\[")):
        Schema(Whole).check(GOOD | change)


@pytest.mark.parametrize("record", [None, [], "a", 3, [GOOD]])
def test_what_is_no_object_is_told(record):
    with pytest.raises(ValueError, match="the record is .*, expected"):
        Schema(Whole).check(record)


def test_a_long_value_and_a_deep_one_are_cut_off_in_the_message():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for value in ("x" * 10_000, deep, 10**5000):
        with pytest.raises(ValueError, match="^duration is ") as error:
            Schema(Whole).check(GOOD | {"duration": value})
        assert len(str(error.value)) < 120
    while deep:  # a destructor would follow it as deeply
        deep = deep.pop()


def what_is_told(form: Schema, value: object) -> str | None:
    """The words of the ValueError; None where the value is taken."""
    try:
        form.check(value)
    except ValueError as error:
        return str(error)
    return None


@given(st.sampled_from([CUT, CONTRACT, ENTRY, NBEST, SOURCES]), JSON)
def test_any_json_is_taken_or_told_in_a_line(form, value):
    told = what_is_told(form, value)
    assert told is None or ("\n" not in told and told)


@given(
    st.sampled_from(["id", "start", "duration", "channel", "supervisions", "recording", "features"]),
    JSON,
)
def test_a_cut_that_is_taken_has_times_that_are_numbers(name, value):
    cut = {"id": "a", "start": 0.0, "duration": 1.0, "channel": 0} | {name: value}
    told = what_is_told(CUT, cut)
    if told is not None:
        assert told.startswith(name)
        return
    assert math.isfinite(cut["start"])
    assert cut["start"] >= 0
    assert cut["duration"] > 0
    assert cut["id"] == str(cut["id"])
    json.dumps(cut, allow_nan=False)
