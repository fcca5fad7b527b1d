"""Sentences of the grammar, and numbers in words read back by hand-written rules."""

from random import Random

import pytest

from asrkd.data.corpora.digits import grammar

UNITS = {word: value for value, word in enumerate(grammar.ONES)}
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80} | {
    "ninety": 90
}
WORD_LISTS = [
    grammar.ONES, grammar.TENS, grammar.ORDINAL_ONES, grammar.ORDINAL_TENS, grammar.MONTHS, grammar.WEEKDAYS,
    grammar.NAMES, grammar.ROOMS, grammar.DEVICES, grammar.EVENTS, grammar.UNITS, grammar.COMMAND_WORDS,
]  # fmt: skip
SENTENCES = [grammar.sentence(Random(f"test {number}")) for number in range(6000)]


def read_number(text: str) -> int:
    """The number that was said, by the usual rules of reading one."""
    total, group = 0, 0
    for word in text.split():
        if word == "thousand":
            total, group = total + 1000 * group, 0
        elif word == "hundred":
            group *= 100
        elif word != "and":
            group += TENS[word] if word in TENS else UNITS[word]
    return total + group


def test_numbers_are_read_back_as_they_were():
    assert [read_number(grammar.number_words(number)) for number in range(10_000)] == list(range(10_000))


def test_no_two_numbers_are_said_alike():
    assert len({grammar.number_words(number) for number in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (15, "fifteen"),
        (40, "forty"),
        (99, "ninety nine"),
        (100, "one hundred"),
        (205, "two hundred and five"),
        (2024, "two thousand and twenty four"),
        (7310, "seven thousand three hundred and ten"),
    ],
)
def test_numbers_are_said_as_people_say_them(number, words):
    assert grammar.number_words(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "first"),
        (12, "twelfth"),
        (20, "twentieth"),
        (23, "twenty third"),
        (30, "thirtieth"),
        (31, "thirty first"),
    ],
)
def test_days_are_said_as_people_say_them(number, words):
    assert grammar.ordinal_words(number) == words


@pytest.mark.parametrize(
    ("year", "words"),
    [
        (1900, "nineteen hundred"),
        (1905, "nineteen oh five"),
        (1984, "nineteen eighty four"),
        (2010, "twenty ten"),
        (2024, "twenty twenty four"),
    ],
)
def test_years_are_said_as_people_say_them(year, words):
    assert grammar.year_words(year) == words


@pytest.mark.parametrize(
    ("function", "number"),
    [
        (grammar.number_words, -1),
        (grammar.number_words, 10_000),
        (grammar.ordinal_words, 0),
        (grammar.ordinal_words, 40),
        (grammar.year_words, 999),
        (grammar.year_words, 2005),
        (grammar.year_words, 2100),
    ],
)
def test_numbers_without_words_are_refused(function, number):
    with pytest.raises(ValueError, match=rf"{function.__name__}\({number}\)"):
        function(number)


def test_the_vocabulary_is_that_of_the_sentences():
    drawn = {word for sentence in SENTENCES for word in sentence.split()}
    assert drawn == {word for words in WORD_LISTS for word in words}
    assert 120 <= len(drawn) <= 180


def test_no_word_is_listed_twice():
    words = [word for words in WORD_LISTS for word in words]
    assert len(words) == len(set(words))


def test_sentences_have_two_to_nine_words_in_single_spaces():
    assert {len(sentence.split(" ")) for sentence in SENTENCES} == set(range(2, 10))
    assert all(word.isalpha() and word.islower() for sentence in SENTENCES for word in sentence.split(" "))


def test_a_sentence_is_a_function_of_its_generator():
    assert grammar.sentence(Random(7)) == grammar.sentence(Random(7))


def test_few_sentences_of_a_held_out_part_are_in_the_rest():
    """As many as an hour of training has, and its 24 % of held out ones."""
    train, held_out = set(SENTENCES[:1424]), SENTENCES[1424:1774]
    assert sum(sentence in train for sentence in held_out) < 0.2 * len(held_out)
