"""A stop that comes after so many questions, wherever a test wants it."""

from asrkd.core.stopping import StopRequest


class StopAfter(StopRequest):
    """Asks to stop at the so-manieth question."""

    def __init__(self, questions: int) -> None:
        super().__init__()
        self.left = questions

    def reason(self) -> str | None:
        self.left -= 1
        return "a test" if self.left < 0 else None
