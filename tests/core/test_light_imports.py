"""What reading a config, and printing the help, must not import: libraries that take seconds to load."""

import subprocess
import sys

import pytest

HEAVY = ("torchaudio", "transformers")


@pytest.mark.parametrize(
    "code",
    ["from asrkd.training.config import TrainConfig", "from asrkd.cli.main import app; app(['--help'])"],
    ids=["a config", "the help"],
)
def test_neither_torchaudio_nor_transformers_is_imported(code):
    """By asrkd, that is: some releases of lhotse import torchaudio themselves."""
    script = f"""
import sys
import lhotse
before = set(sys.modules)
try:
    {code}
except SystemExit:
    pass
heavy = sorted(set({HEAVY!r}) & (set(sys.modules) - before))
sys.exit(f"imported: {{heavy}}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
