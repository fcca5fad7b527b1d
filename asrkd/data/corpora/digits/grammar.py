"""Grammar of sentences with numbers, dates, names and commands over a small, closed vocabulary.

A sentence is drawn from a template, whose slots are filled in order:
``"remind {name} on {date}"`` may become "remind david on the third of march".
There are some 10^8 sentences, so two splits share only the shortest, such as
"call anna".
"""

import re
from collections.abc import Callable
from random import Random


def _words(text: str) -> list[str]:
    return text.split()


ONES = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
ORDINAL_ONES = _words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
)
ORDINAL_TENS = ["twentieth", "thirtieth"]
MONTHS = _words("january february march april may june july august september october november december")
WEEKDAYS = _words("monday tuesday wednesday thursday friday saturday sunday")
NAMES = _words(
    "anna david maria peter laura thomas julia martin emma simon clara oscar nina robert alice "
    "victor helen george irene felix sarah daniel olivia henry sophie"
)
ROOMS = _words("kitchen bedroom bathroom hall garage garden office")
DEVICES = _words("light lamp fan heater radio")
EVENTS = _words("meeting party lesson")
UNITS = _words("seconds minutes hours")
COMMAND_WORDS = _words(
    "hundred thousand and oh point half past quarter to the of on off at for in is a by my with "
    "set turn call remind open close play cancel move send add what plus minus times code song "
    "alarm timer door window degrees dollars"
)

MIN_WORDS, MAX_WORDS = 2, 9

TEMPLATES: tuple[tuple[int, str], ...] = (
    (2, "call {name}"),
    (4, "call {name} on {digits}"),
    (4, "call {name} at {time}"),
    (6, "remind {name} on {date}"),
    (4, "remind {name} of my {event} at {time}"),
    (5, "set the alarm to {time}"),
    (3, "set the timer for {count} {unit}"),
    (3, "set the {room} heater to {count} degrees"),
    (3, "turn {state} the {room} {device}"),
    (3, "turn {state} the {device} in the {room}"),
    (2, "{opening} the {room} {opened}"),
    (4, "cancel the {event} with {name} on {weekday}"),
    (5, "move the {event} to {date}"),
    (5, "{name} is in the {room} at {time}"),
    (6, "send {name} {amount} dollars"),
    (3, "play song {digits}"),
    (5, "add {amount} and {count}"),
    (5, "what is {count} {operator} {count}"),
    (4, "what is {count} point {digit} by {count}"),
    (6, "the code is {digits}"),
    (6, "{digits}"),
    (6, "{weekday} {date}"),
    (6, "{date} {year}"),
    (4, "a {event} for {name} and {name}"),
)
"""(weight, template): the more ways to fill a template, the higher its weight."""


def sentence(rng: Random) -> str:
    """Draw a sentence of two to nine lower-case words from ``rng``."""
    weights = [weight for weight, _ in TEMPLATES]
    while True:
        template = rng.choices(TEMPLATES, weights)[0][1]
        text = re.sub(r"\{(\w+)\}", lambda slot: _SLOTS[slot[1]](rng), template)
        if MIN_WORDS <= len(text.split()) <= MAX_WORDS:
            return text


def number_words(number: int) -> str:
    """Return a cardinal number in words: 205 is "two hundred and five".

    Raises:
        ValueError: the number is not in 0..9999.
    """
    if not 0 <= number <= 9999:
        raise ValueError(f"number_words({number}): expected 0..9999")
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens - 2] + (f" {ONES[ones]}" if ones else "")
    unit, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    count, rest = divmod(number, unit)
    if not rest:
        return f"{ONES[count]} {name}"
    return f"{ONES[count]} {name} {'and ' if rest < 100 else ''}{number_words(rest)}"


def ordinal_words(number: int) -> str:
    """Return a day of the month in words: 21 is "twenty first".

    Raises:
        ValueError: the number is not in 1..39.
    """
    if not 1 <= number <= 39:
        raise ValueError(f"ordinal_words({number}): expected 1..39")
    if number < 20:
        return ORDINAL_ONES[number - 1]
    tens, ones = divmod(number, 10)
    return f"{TENS[tens - 2]} {ORDINAL_ONES[ones - 1]}" if ones else ORDINAL_TENS[tens - 2]


def year_words(year: int) -> str:
    """Return a year in words: 1905 is "nineteen oh five", 2024 "twenty twenty four".

    Raises:
        ValueError: the year is not in 1000..2099, or in 2000..2009, which are spoken as numbers.
    """
    if not 1000 <= year <= 2099 or 2000 <= year <= 2009:
        raise ValueError(f"year_words({year}): expected 1000..1999 or 2010..2099")
    century, rest = divmod(year, 100)
    if rest == 0:
        return f"{number_words(century)} hundred"
    return f"{number_words(century)} {'oh ' if rest < 10 else ''}{number_words(rest)}"


def _time(rng: Random) -> str:
    hour = ONES[rng.randint(1, 12)]
    minute = rng.randint(1, 59)
    minutes = f"{'oh ' if minute < 10 else ''}{number_words(minute)}"
    phrases = [f"{hour} {minutes}", hour, f"half past {hour}", f"quarter to {hour}"]
    return rng.choices(phrases, [6, 1, 1, 1])[0]


def _date(rng: Random) -> str:
    day, month = ordinal_words(rng.randint(1, 31)), rng.choice(MONTHS)
    return rng.choice([f"the {day} of {month}", f"{month} {day}"])


def _year(rng: Random) -> str:
    return year_words(rng.choice([*range(1900, 2000), *range(2010, 2040)]))


def _digits(rng: Random) -> str:
    return " ".join(rng.choice([*ONES[:10], "oh"]) for _ in range(rng.randint(3, 7)))


def _amount(rng: Random) -> str:
    return number_words(rng.randint(100, 9999))


def _one_of(words: list[str]) -> Callable[[Random], str]:
    return lambda rng: rng.choice(words)


_SLOTS: dict[str, Callable[[Random], str]] = {
    "name": _one_of(NAMES),
    "room": _one_of(ROOMS),
    "device": _one_of(DEVICES),
    "event": _one_of(EVENTS),
    "unit": _one_of(UNITS),
    "weekday": _one_of(WEEKDAYS),
    "state": _one_of(["on", "off"]),
    "opening": _one_of(["open", "close"]),
    "opened": _one_of(["door", "window"]),
    "operator": _one_of(["plus", "minus", "times"]),
    "digit": _one_of(ONES[:10]),
    "count": lambda rng: number_words(rng.randint(2, 99)),
    "time": _time,
    "date": _date,
    "year": _year,
    "digits": _digits,
    "amount": _amount,
}
