"""Switch for AVX2 in torch 1.13 on processors of AMD, imported whenever the Python of the k2 stack starts.

The MKL 2020.0 inside of torch 1.13 asks a processor for its vendor, and runs
code of long ago where that is not Intel: 37 GFLOP/s a core of matrix
products, 85 with MKL_DEBUG_CPU_TYPE=5, which has it take the code for AVX2.
Later versions of MKL do not read that variable. An environment may be shared
by several machines, so the processor is looked at each time. A value that is
set is left as it is; an empty one leaves the choice to MKL.
"""

import os

NAME, AVX2 = "MKL_DEBUG_CPU_TYPE", "5"


def needs_it(cpuinfo):
    """Whether Linux's description of the first processor is of one of AMD that has AVX2 and FMA."""
    fields = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if not key.strip():
            break
        fields[key.strip()] = value.split()
    return fields.get("vendor_id") == ["AuthenticAMD"] and {"avx2", "fma"} <= set(fields.get("flags", ()))


def set_it(path="/proc/cpuinfo"):
    """Set the variable for this process and those that it starts, where it helps and nobody has set it."""
    if NAME in os.environ:
        return
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            first = stream.read(16384)
    except OSError:
        return
    if needs_it(first):
        os.environ[NAME] = AVX2


set_it()
