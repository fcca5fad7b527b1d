"""The Python packages: each is imported and made to do a little, because installed is not yet working."""

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
    """A Python package that asrkd needs."""

    module: str  # as it is imported
    distribution: str  # as it is installed
    use: str  # what asrkd does with it
    probe: Callable[[Any], str] | None = None  # makes it do a little; returns what is worth showing


def check_package(package: Package) -> Check:
    """Whether a needed package can be imported and does what it is for."""
    version = installed.version(package.distribution)
    try:
        module = import_module(package.module)
        shown = package.probe(module) if package.probe else ""
    except BROKEN as error:
        return Check(
            package.distribution,
            Status.WRONG,
            in_a_line(error),
            f"for {package.use}",
            _installation(package.distribution),
        )
    found = [version or "no version", shown] if shown else [version or "no version"]
    return Check(package.distribution, Status.OK, ", ".join(found))


def check_k2() -> Check:
    """Whether k2 works. Absent it is done without; broken it is in the way."""
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
    """Whether commands can be launched as jobs. Absent or broken, it is in nobody's way."""
    note = "only --launcher needs it; without it, --jobs on this machine, or the scripts of stages/slurm"
    return _check_extra("submitit", note)


def check_transformers() -> Check:
    """Whether models of Hugging Face can be teachers. Absent or broken, it is in nobody's way."""
    note = "only teachers in Hugging Face's folders need it; those of asrkd and torchaudio do not"
    return _check_extra("transformers", note, "Wav2Vec2Model")  # loaded when it is named


def check_kenlm() -> Check:
    """Whether n-gram models can be read. Absent or broken, it is in nobody's way."""
    return _check_extra("kenlm", "only n-gram models given as --lm need it; models of asrkd do not", "Model")


def _check_extra(distribution: str, note: str, attribute: str | None = None) -> Check:
    """Whether a package that some options need is there, with what is used of it."""
    version = installed.version(distribution)
    try:
        module = import_module(distribution)
        if attribute is not None:
            getattr(module, attribute)
    except BROKEN as error:
        found = "not installed" if version is None else in_a_line(error)
        return Check(distribution, Status.NOTE, found, note, _installation(distribution))
    return Check(distribution, Status.OK, version or "no version")


def check_fit() -> Check:
    """Which stack this is, and whether the packages that are compiled together go together."""
    misfits = installed.misfits()
    if not misfits:
        return Check("stack", Status.OK, f"{installed.current()}, its packages fit together")
    packages = {package for package, _ in misfits}
    remedies = [installed.pip_uninstall("k2")] if "k2" in packages else []
    if packages - {"k2"}:
        remedies.append(installed.pip_install("torch", *sorted(packages - {"k2"})))
    found = "; ".join(words for _, words in misfits)
    return Check("stack", Status.WRONG, f"{installed.current()}, {found}", remedy=then(*remedies))


def _installation(distribution: str) -> str:
    """The command that installs a package, over itself if it is there."""
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
    """Ask its compiled part what two steps through three equally likely symbols cost: 2 ln 3 nats."""
    import torch

    one = torch.ones(1, dtype=torch.int32)
    loss = float(torchaudio.functional.rnnt_loss(torch.zeros(1, 1, 2, 3), one[None], one, one, blank=0))
    if not math.isclose(loss, 2 * math.log(3), rel_tol=1e-5):
        raise RuntimeError(f"its rnnt_loss gave {loss}, expected {2 * math.log(3)}")
    return ""


def _probe_soundfile(soundfile: Any) -> str:
    return f"libsndfile {soundfile.__libsndfile_version__}"


def _probe_espeak(loader: Any) -> str:
    """Load the library and ask its version; speaking is left to children, because it has a state."""
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
