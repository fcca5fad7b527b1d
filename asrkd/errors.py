"""What can go wrong that the user can mend, and the exit status each kind has.

A message is one line: what, where (file, line, cut id), what was expected,
and the command that mends it. Anything else that is raised is a bug.
"""


class AsrkdError(Exception):
    """A mistake the user can mend: printed as one line, exit status 1."""

    exit_status = 1
    told = False  # another process has printed it, so this one ends in silence


class QuarantineError(AsrkdError):
    """More items were set aside as bad than the user allowed: exit status 3."""

    exit_status = 3


class StoppedInTime(AsrkdError):
    """Work was saved on request before it was done; run again to go on: exit status 75.

    75 is EX_TEMPFAIL of sysexits.h, which schedulers can requeue on.
    """

    exit_status = 75
