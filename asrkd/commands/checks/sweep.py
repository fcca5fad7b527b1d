"""Check of a sweep: whole, its chosen config valid, and its complete runs whole and not stale."""

from pathlib import Path

from asrkd.commands.checks.findings import Findings
from asrkd.commands.checks.folders import audit_model
from asrkd.core import config, files, output_folder
from asrkd.core.artifacts import BEST_CONFIG, SWEEP
from asrkd.core.command_record import read_command
from asrkd.core.shell import command
from asrkd.training.config import TrainConfig


def audit_sweep(path: Path, findings: Findings) -> None:
    """Check a folder of `asrkd sweep`."""
    maker = read_command(path) or command("asrkd", "sweep", "...", "--out", path)
    with findings.collect(path):
        stamp = output_folder.read_stamp(path, maker, ["settings", "runs", "chosen"])
        findings.note(f"{path}: chosen among {stamp['settings']}: {stamp['chosen']}")
        config.load(TrainConfig, path / BEST_CONFIG)
    with findings.collect(path):
        for setting in files.read_json(path / SWEEP)["settings"]:
            for run in setting["runs"]:
                folder = path / run["folder"]
                if not folder.is_dir():
                    findings.problem(f"{folder}: no such folder; train the run again with: {maker}")
                elif run["state"] == "complete":
                    audit_model(folder, findings)
                else:
                    findings.note(f"{folder}: {setting['state']} at step {run['step']}")
