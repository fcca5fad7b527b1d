"""Checks of Python packages: each is imported and runs a small probe, as a package may be broken."""

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from asrkd.commands.installation.checks import BROKEN, Check, Status, in_a_line
from asrkd.core import installed
from asrkd.core.shell import then


@dataclass(frozen=True)
class Package:
    """Required Python package."""

    module: str  # name in imports
    distribution: str  # name for pip
    use: str  # use in asrkd
    probe: Callable[[Any], str] | None = None  # runs it; returns a note


def check_package(package: Package) -> Check:
    """Check that a required package can be imported and works."""
    version = installed.version(package.distribution)
    try:
        module = import_module(package.module)
        note = package.probe(module) if package.probe else ""
    except BROKEN as error:
        return Check(
            package.distribution,
            Status.WRONG,
            in_a_line(error),
            f"for {package.use}",
            _installation(package.distribution),
        )
    details = [version or "no version", *([note] if note else [])]
    return Check(package.distribution, Status.OK, ", ".join(details))


def check_k2() -> Check:
    """Check k2: optional, but broken it is an error."""
    stand_in = "torch and torchaudio do its work; only --search k2 needs it"
    version = installed.version("k2")
    try:
        k2 = import_module("k2")
        k2.linear_fsa([1, 2])
    except BROKEN as error:
        if version is None and isinstance(error, ModuleNotFoundError) and error.name == "k2":
            return Check("k2", Status.NOTE, "not installed", stand_in, _k2_remedy())
        return Check("k2", Status.WRONG, in_a_line(error), stand_in, installed.pip_uninstall("k2"))
    return Check("k2", Status.OK, f"{version}, built for torch {getattr(k2, 'k2_torch_version', 'unknown')}")


def check_submitit() -> Check:
    """Check submitit, which launches commands as jobs: optional."""
    note = "only --launcher needs it; without it, --jobs on this machine, or the scripts of stages/slurm"
    return _check_extra("submitit", note)


def check_transformers() -> Check:
    """Check transformers, for teachers of Hugging Face: optional."""
    note = "only teachers in Hugging Face's folders need it; those of asrkd and torchaudio do not"
    return _check_extra("transformers", note, "Wav2Vec2Model")  # loaded on access


def check_kenlm() -> Check:
    """Check kenlm, which reads n-gram models: optional."""
    return _check_extra("kenlm", "only n-gram models given as --lm need it; models of asrkd do not", "Model")


def check_deployment() -> list[Check]:
    """Check the packages of exports: optional."""
    notes = {
        "onnx": "only asrkd export needs it, with torch 2",
        "onnxruntime": "only asrkd export --int8 needs it",
        "sherpa-onnx": "only asrkd score --runtime sherpa-onnx needs it",
    }
    return [_check_extra(distribution, note) for distribution, note in notes.items()]


def _check_extra(distribution: str, note: str, attribute: str | None = None) -> Check:
    """Check an optional package, and the attribute of it that asrkd uses."""
    version = installed.version(distribution)
    try:
        module = import_module(distribution.replace("-", "_"))
        if attribute is not None:
            getattr(module, attribute)
    except BROKEN as error:
        fault = "not installed" if version is None else in_a_line(error)
        return Check(distribution, Status.NOTE, fault, note, _installation(distribution))
    return Check(distribution, Status.OK, version or "no version")


def check_fit() -> Check:
    """Check that packages compiled for each other have versions that match; name the stack."""
    misfits = installed.misfits()
    if not misfits:
        return Check("stack", Status.OK, f"{installed.current()}, its packages fit together")
    packages = {package for package, _ in misfits}
    remedies = [installed.pip_uninstall("k2")] if "k2" in packages else []
    if packages - {"k2"}:
        remedies.append(installed.pip_install("torch", *sorted(packages - {"k2"})))
    faults = "; ".join(words for _, words in misfits)
    return Check("stack", Status.WRONG, f"{installed.current()}, {faults}", remedy=then(*remedies))


def _installation(distribution: str) -> str:
    """Return the command that installs a package, or reinstalls it."""
    again = [] if installed.version(distribution) is None else ["--force-reinstall", "--no-deps"]
    return installed.pip_install(*again, distribution)


def _k2_remedy() -> str:
    if installed.current() == "k2":
        return installed.pip_install("k2")
    return (
        "make setup STACK=k2 (Python 3.10), or pip install a wheel of the k2 project's own "
        f"for torch {installed.version('torch')}"
    )


def _probe_torch(torch: Any) -> str:
    torch.ones(2, 2) @ torch.ones(2, 2)
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    return f"built for {build}, {torch.get_num_threads()} threads"


def _probe_torchaudio(torchaudio: Any) -> str:
    """Run the compiled transducer loss: two steps through three equally likely symbols cost 2 ln 3 nats."""
    import torch

    one = torch.ones(1, dtype=torch.int32)
    loss = float(torchaudio.functional.rnnt_loss(torch.zeros(1, 1, 2, 3), one[None], one, one, blank=0))
    if not math.isclose(loss, 2 * math.log(3), rel_tol=1e-5):
        raise RuntimeError(f"its rnnt_loss gave {loss}, expected {2 * math.log(3)}")
    return ""


def _probe_soundfile(soundfile: Any) -> str:
    return f"libsndfile {soundfile.__libsndfile_version__}"


def _probe_espeak(loader: Any) -> str:
    """Load the library and read its version; it has a state, so that only child processes speak."""
    library = ctypes.CDLL(loader.get_library_path())
    library.espeak_Info.restype = ctypes.c_char_p
    version: bytes = library.espeak_Info(None)
    if not Path(loader.get_data_path()).is_dir():
        raise RuntimeError(f"{loader.get_data_path()}: no such folder, expected its voices")
    return f"espeak-ng {version.decode()}"


PACKAGES = (
    Package("torch", "torch", "everything that learns", _probe_torch),
    Package("torchaudio", "torchaudio", "transducer loss, alignment, pretrained teachers", _probe_torchaudio),
    Package("lhotse", "lhotse", "cuts, features and batches"),
    Package("numpy", "numpy", "arrays"),
    Package("rapidfuzz", "rapidfuzz", "word errors"),
    Package("sentencepiece", "sentencepiece", "BPE tokens"),
    Package("safetensors.torch", "safetensors", "weights and stored targets"),
    Package("soundfile", "soundfile", "reading audio", _probe_soundfile),
    Package("espeakng_loader", "espeakng-loader", "the voices of the synthetic corpus", _probe_espeak),
    Package("jinja2", "jinja2", "the page of asrkd report"),
    Package("torch.utils.tensorboard", "tensorboard", "curves of a training run"),
)
