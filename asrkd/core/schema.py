"""Forms of JSON records: types and ranges of fields, declared once and checked by pydantic.

Records are read from files that people edit, convert and copy. A field of a
wrong type or range is told when the file is read, by its place in the record,
and not by whatever stumbles over it later.
"""

import re
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

Form = TypeVar("Form")

MOST = 2**63 - 1  # what a 64-bit integer holds
LONGEST_VALUE = 60  # characters of a wrong value that a message shows

Count = Annotated[int, Field(strict=True, ge=0, le=MOST)]
Positive = Annotated[int, Field(strict=True, ge=1, le=MOST)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0)]  # from the beginning of something
Duration = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]  # in seconds
#: Samples, or samples a second, also as 16000.0.
WholeNumber = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, multiple_of=1, le=MOST)]
Sha256 = Annotated[str, Field(strict=True, pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(strict=True, min_length=1)]


_OF_UNIONS = re.compile(
    r"int|str|float|constrained-\w+|\w+\[.*\]|_[A-Z]\w*"
)  # the member that was tried last


class Record(BaseModel):
    """A JSON object with the fields that a reader goes by; others may be there too.

    Types are those of this module, which convert nothing, and ``str``, ``list`` and ``dict`` of them. A field
    that has a default may be absent.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Schema(Generic[Form]):
    """What records of one kind must look like."""

    def __init__(self, form: Any) -> None:
        """Take a type that pydantic knows: a :class:`Record`, a dataclass, a union."""
        self._adapter: TypeAdapter[Form] = TypeAdapter(form)

    def check(self, record: Any) -> Form:
        """The record as the form has it.

        Raises:
            ValueError: it is not of the form; in one line, which field is what, and what was expected.
        """
        try:
            return self._adapter.validate_python(record)
        except ValidationError as error:
            raise ValueError(explain(error)) from None


def explain(error: ValidationError) -> str:
    """The first thing that is wrong with a record: 'supervisions.0.text is 7, expected a string'."""
    problems = error.errors(include_url=False, include_context=False)
    first = next((problem for problem in problems if problem["type"] != "missing"), problems[0])
    parts = [str(part) for part in first["loc"]]
    place = ".".join(part for part in parts if not _OF_UNIONS.fullmatch(part)) or "the record"
    if first["type"] == "missing":
        return f"{place} is missing"
    return f"{place} is {shown(first['input'])}, {_expected(first['msg'])}"


def _expected(words: str) -> str:
    """What pydantic says of a value, after 'is 7,'."""
    if not words.startswith("Input should be "):
        return words[:1].lower() + words[1:]
    wanted = words.removeprefix("Input should be ").partition(" or instance of ")[0]
    wanted = wanted.replace("a valid ", "a ").replace("a integer", "an integer")
    return f"expected {'a number ' if wanted.startswith(('greater', 'less')) else ''}{wanted}"


def shown(value: Any) -> str:
    """A value of a record for a message, cut off where it is long."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or an integer of too many digits
        text = type(value).__name__
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
