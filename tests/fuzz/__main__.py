"""Command line of the fuzz: how many inputs, or for how long; exit status 1 if any failed."""

import argparse
import faulthandler
import itertools
import sys
from pathlib import Path

from tests.fuzz.runner import TARGETS, replay, run_many, workspace

DEFAULT_KEEP = Path("exp/fuzz")


def main() -> int:
    """Run what the options ask for, print counts by kind; 1 if an input failed."""
    options = _parse()
    faulthandler.enable()  # should a library end the process
    keep = options.keep.resolve()
    if options.replay is not None:
        folder = options.replay.resolve()
        with workspace():
            verdict = replay(folder)
        print(
            f"{verdict.target}: {verdict.ending}" + (f"\n{verdict.failure.detail}" if verdict.failure else "")
        )
        return 1 if verdict.failure else 0
    numbers = itertools.count() if options.inputs is None else iter(range(options.inputs))
    if options.only is not None:
        numbers = iter([options.only])
    with workspace():
        for target in TARGETS:
            reason = target.skipped()
            if reason is not None:
                print(f"{target.name}: skipped: {reason}")
        tally = run_many(options.seed, numbers, keep, options.seconds)
    print(tally.text())
    if tally.failures:
        print(f"{len(tally.failures)} failed; run one again: python -m tests.fuzz --replay {keep}/...")
    return 1 if tally.failures else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=main.__doc__)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--seconds", type=float, help="run for so long")
    length.add_argument("--inputs", type=int, help="run so many inputs")
    length.add_argument("--only", type=int, help="run this input of the seed alone")
    length.add_argument("--replay", type=Path, help="run an input that was kept: its folder")
    parser.add_argument("--seed", type=int, default=1, help="1 by default; another seed, other inputs")
    parser.add_argument("--keep", type=Path, default=DEFAULT_KEEP, help="where inputs that fail are kept")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
