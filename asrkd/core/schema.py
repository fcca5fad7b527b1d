"""Schemas of JSON records: types and ranges of fields, declared once and checked by pydantic.

Records are read from files that users edit, convert and copy. A field of a
wrong type or range is an error when the file is read, with its place in the
record.
"""

import re
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

Form = TypeVar("Form")

MAX_INT = 2**63 - 1  # largest integer of 64 bits
MAX_SHOWN = 60  # characters of a wrong value in a message

Count = Annotated[int, Field(strict=True, ge=0, le=MAX_INT)]
Positive = Annotated[int, Field(strict=True, ge=1, le=MAX_INT)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0)]  # since the start of a recording
Duration = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]  # duration in seconds
#: Samples, or samples per second, also as 16000.0.
WholeNumber = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, multiple_of=1, le=MAX_INT)]
Sha256 = Annotated[str, Field(strict=True, pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(strict=True, min_length=1)]


_OF_UNIONS = re.compile(
    r"int|str|float|constrained-\w+|\w+\[.*\]|_[A-Z]\w*"
)  # pydantic's names of the members of a union


class Record(BaseModel):
    """JSON object with the fields that a reader uses; other fields are ignored.

    Fields have the types of this module, which convert nothing, or ``str``, ``list`` and ``dict`` of these
    types. A field with a default may be absent.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Schema(Generic[Form]):
    """Schema of the records of one kind."""

    def __init__(self, form: Any) -> None:
        """Build the schema of a type that pydantic knows: a :class:`Record`, a dataclass, a union."""
        self._adapter: TypeAdapter[Form] = TypeAdapter(form)

    def check(self, record: Any) -> Form:
        """Validate a record, and return it as an object of the schema's type.

        Raises:
            ValueError: the record does not fit; one line has the field, its value and the expected one.
        """
        try:
            return self._adapter.validate_python(record)
        except ValidationError as error:
            raise ValueError(explain(error)) from None


def explain(error: ValidationError) -> str:
    """Describe the first error of a record: 'supervisions.0.text is 7, expected a string'."""
    problems = error.errors(include_url=False, include_context=False)
    first = next((problem for problem in problems if problem["type"] != "missing"), problems[0])
    parts = [str(part) for part in first["loc"]]
    place = ".".join(part for part in parts if not _OF_UNIONS.fullmatch(part)) or "the record"
    if first["type"] == "missing":
        return f"{place} is missing"
    return f"{place} is {truncated_repr(first['input'])}, {expected(first['type'], first['msg'])}"


# Expected values by the type of pydantic's error, where its message has other words too.
_EXPECTED = {
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "path_type": "a path",
}


def expected(kind: str, words: str) -> str:
    """Rephrase a message of pydantic as what is expected: 'expected an integer'.

    Args:
        kind: the type of the error, such as ``int_parsing``.
        words: the message.
    """
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}"
    if kind == "missing":
        return "missing"
    if kind == "value_error":
        return words.removeprefix("Value error, ")
    if not words.startswith("Input should be "):
        return words[:1].lower() + words[1:]
    value = words.removeprefix("Input should be ").partition(" or instance of ")[0]
    value = value.replace("a valid ", "a ").replace("a integer", "an integer")
    return f"expected {'a number ' if value.startswith(('greater', 'less')) else ''}{value}"


def truncated_repr(value: Any) -> str:
    """Return a value of a record for a message, truncated if it is long."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or an integer of too many digits
        text = type(value).__name__
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."
