"""Options out of range are the user's to mend."""

import pytest

from asrkd.core.errors import AsrkdError
from asrkd.decoding.options import SearchOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "--beam 0: expected at least 1"),
        ({"num_best": 0}, "--nbest 0: expected at least 1"),
        ({"beam": 4, "num_best": 8}, "--beam 8 or more"),
        ({"max_tokens_per_frame": 0}, "max_tokens_per_frame is 0"),
    ],
)
def test_options_out_of_range_are_refused_with_the_remedy(options, message):
    with pytest.raises(AsrkdError, match=message) as caught:
        SearchOptions(**options)
    assert "\n" not in str(caught.value)


def test_options_cannot_be_changed():
    with pytest.raises(AttributeError):
        SearchOptions().beam = 4


def test_as_many_hypotheses_as_places_are_fine():
    assert SearchOptions(beam=4, num_best=4, max_tokens_per_frame=1).num_best == 4
