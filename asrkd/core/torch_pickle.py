"""Reader of state dicts in files of ``torch.save`` that runs no code of the pickle.

Such a file is a zip archive with a pickle and one member for the bytes of each
storage. The unpickler makes dictionaries and tensors by its own functions, and
refuses every other name.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from asrkd.core import files
from asrkd.core.errors import AsrkdError, error_text

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def convert_state(state: Path, out: Path) -> int:
    """Write the tensors of the file ``state`` as safetensors; return their number.

    Raises:
        AsrkdError: not a state dict of ``torch.save``, or one with other values than tensors.
    """
    tensors = read_state(state)
    out.parent.mkdir(parents=True, exist_ok=True)
    # Copied, as safetensors refuses tensors that share memory.
    copies = {name: value.contiguous().clone() for name, value in tensors.items()}
    with files.create_aside(out) as partial:
        save_file(copies, str(partial), metadata={"format": "pt"})  # transformers requires the metadata
    return len(tensors)


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors (...) by name of a state dict, or of the state dict in a checkpoint.

    Raises:
        AsrkdError: no such file, not a state dict of ``torch.save``, or one with
            other values than tensors.
    """
    if not path.is_file():
        raise AsrkdError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            (member,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            with archive.open(member) as stream:
                read = _Reader(stream, archive, member.removesuffix("data.pkl")).load()
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, RuntimeError) as error:
        raise AsrkdError(
            f"{path}: not a file of torch.save, or one of torch before 1.6 ({error_text(error)}); "
            "save it again: torch.save(model.state_dict(), ...)"
        ) from None
    except pickle.UnpicklingError as error:
        raise AsrkdError(
            f"{path}: {error}; save the weights alone: torch.save(model.state_dict(), ...)"
        ) from None
    for key in ("state_dict", "model"):
        if isinstance(read, Mapping) and isinstance(read.get(key), Mapping):
            read = read[key]
    if not isinstance(read, Mapping) or not read or not all(isinstance(v, Tensor) for v in read.values()):
        raise AsrkdError(f"{path}: expected a state dict, tensors by name; save model.state_dict() alone")
    return dict(read)


class _Reader(pickle.Unpickler):
    """Unpickler of dictionaries and tensors only."""

    def __init__(self, stream: Any, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(stream)
        self._archive, self._folder = archive, folder
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return the function that stands for a name in the pickle."""
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"holds a {module}.{name}, which is not read: only tensors are")
        return _STAND_INS[module, name]

    def persistent_load(self, pid: Any) -> Tensor:
        """Return the storage of a tensor, as a flat tensor."""
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError(f"holds a {kind}, which is not read: only tensors are")
        if key not in self._storages:
            data = bytearray(self._archive.read(f"{self._folder}data/{key}"))
            self._storages[key] = torch.frombuffer(data, dtype=dtype, count=count)
        return self._storages[key]


def _tensor(storage: Tensor, offset: int, size: Any, stride: Any, *_: object) -> Tensor:
    return torch.as_strided(storage, size, stride, offset)


def _parameter(data: Tensor, *_: object) -> Tensor:
    return data


_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}
