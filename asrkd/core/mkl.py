"""Which code the MKL inside of torch 1.13 takes: results of others differ in their last bits."""

import os

from asrkd.core import installed

NAME = "MKL_DEBUG_CPU_TYPE"  # MKL 2020.0 of torch 1.13 reads it, later ones do not
KEY = NAME.lower()


def chosen_code() -> dict[str, str]:
    """What a record of this process says of it: nothing unless the variable is set and read."""
    value = os.environ.get(NAME)
    return {KEY: value} if value and (installed.installed("torch") or "").startswith("1.13.") else {}
