"""Contract of a store: kind, teacher, cuts and settings of its targets, written first and checked by readers.

Two runs with equal contracts write equal bytes on equal devices, whatever
the number of jobs. A contract holds no times and no paths.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import torch
from lhotse import MonoCut

from asrkd import __version__
from asrkd.core.installed import mkl_setting
from asrkd.data.cuts.records import cuts_digest
from asrkd.teachers.teacher import Teacher

FORMAT = 2  # 2: an index beside each shard


def contract(kind: str, teacher: Teacher, cuts: Sequence[MonoCut], details: dict[str, Any]) -> dict[str, Any]:
    """Build the contract of a store or quantizer.

    Args:
        kind: kind of the store: 'nbest', 'codebook', 'quantizer', ...
        teacher: the teacher that computes the targets.
        cuts: the cuts of the store, in order.
        details: fields of the contract that only this kind has.
    """
    device = teacher.device
    return {
        "format": FORMAT,
        "kind": kind,
        **teacher.contract(),
        "cuts": {"count": len(cuts), "digest": cuts_digest(cuts)},
        "computed_with": {
            "asrkd": __version__,
            "torch": torch.__version__,
            "lhotse": version("lhotse"),
            "device": "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device),
            "precision": "fp32",
            **mkl_setting(),
            **teacher.versions(),
        },
        **details,
    }
