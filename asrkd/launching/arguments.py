"""The command lines of jobs: the present one, less what concerns its launching, plus what a job is told."""

from collections.abc import Iterator, Sequence

# Options of the launching command that its jobs are not given, or are given with values of their own.
_OWN = frozenset({"--launcher", "--partition", "--gpus", "--slurm", "--jobs", "--time-limit"})


def job_arguments(arguments: Sequence[str], *more: str) -> list[str]:
    """What a job's command line is after ``asrkd``.

    Args:
        arguments: the launching command's own, such as ``sys.argv[1:]``.
        more: options to add.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    return [*_without_own(arguments[:end]), *more, *arguments[end:]]


def _without_own(arguments: Sequence[str]) -> Iterator[str]:
    rest = iter(arguments)
    for argument in rest:
        if argument in _OWN:
            next(rest, None)  # its value
        elif argument.partition("=")[0] not in _OWN:
            yield argument
