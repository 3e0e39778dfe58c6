#!/usr/bin/env python3
"""Checks that nothing touches the registers of a wgmma that is still running.

usage: check_wgmma_registers.py OBJECT_OR_LIBRARY ...

wgmma reads its operands and writes its sums beside the threads, until they wait for it; the compiler
has to leave both alone so long. nvcc 13.0 did not always (docs/cuda.md). For all kernels in the files
(compiled for sm_90a): between an HGMMA and the next WARPGROUP.DEPBAR no other instruction may write
the registers of its left operand, nor read or write those of its sums. Needs cuobjdump and nvdisasm
of the CUDA toolkit in the PATH.
"""

import re
import shutil
import subprocess
import sys

LINE = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\d+\s+)?([A-Z][A-Za-z0-9_.]*)\s*([^;]*);")
HGMMA = re.compile(r"HGMMA\.64x(\d+)x16")


def registers_of(operand, count=1):
    """Numbers of the registers that an operand such as R24 or -|R8.reuse| names."""
    found = re.search(r"\bR(\d+)\b", operand)
    return set(range(int(found[1]), int(found[1]) + count)) if found else set()


def width_of(name):
    """Registers that an instruction writes, or stores, at once."""
    return 4 if ".128" in name else 2 if ".64" in name or ".WIDE" in name else 1


def split(text):
    return [part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip()]


def check(kernel, lines):
    """Complaints about one kernel, and how many products it has."""
    complaints, products, left, sums = [], 0, set(), set()
    for address, name, text in lines:
        operands = split(text)
        if name.startswith("WARPGROUP.DEPBAR"):
            left, sums = set(), set()
        elif wide := HGMMA.match(name):
            products += 1
            sums |= registers_of(operands[0], int(wide[1]) // 2)
            if operands[1].startswith("R"):
                left |= registers_of(operands[1], 4)
        elif sums and operands:
            stores = name.startswith(("ST", "RED", "ATOM"))
            written = set() if stores else registers_of(operands[0], width_of(name))
            read = set().union(*(registers_of(part) for part in operands[0 if stores else 1 :]))
            if written & (left | sums) or read & sums:
                complaints.append(f"{kernel} at 0x{address}: {name} {text.strip()}")
    return complaints, products


def main(files):
    if not shutil.which("cuobjdump"):
        sys.exit("cuobjdump is not in the PATH: it is part of the CUDA toolkit (cuda-cuobjdump)")
    complaints, products, kernels = [], 0, 0
    for file in files:
        sass = subprocess.run(["cuobjdump", "-sass", file], capture_output=True, text=True)
        if sass.returncode:
            sys.exit(f"cuobjdump cannot read {file}: {sass.stderr.strip()}")
        for part in sass.stdout.split("Function : ")[1:]:
            found, count = check(part.split(None, 1)[0], LINE.findall(part))
            complaints += found
            products += count
            kernels += count > 0
    if not products:
        sys.exit("no wgmma in these files: give objects that are compiled for sm_90a")
    print(*complaints, sep="\n", end="\n" if complaints else "")
    print(f"{kernels} kernels with {products} wgmma, {len(complaints)} complaints")
    sys.exit(bool(complaints))


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    main(sys.argv[1:])
