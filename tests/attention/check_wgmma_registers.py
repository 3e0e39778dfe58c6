#!/usr/bin/env python3
"""Checks that nothing touches the registers of a wgmma that is still running.

usage: check_wgmma_registers.py OBJECT_OR_LIBRARY ...
       check_wgmma_registers.py --self-test

wgmma reads its operands and writes its sums beside the threads, until they wait for it; the compiler
has to leave both alone so long. nvcc 13.0 did not always (docs/cuda.md). For all kernels in the files
(compiled for sm_90a), along every way from an HGMMA to the next WARPGROUP.DEPBAR that waits for all:
no other instruction writes the registers of its left operand, none reads or writes those of its
sums, and no HGMMA has running sums as its left operand. Needs cuobjdump and nvdisasm of the CUDA
toolkit in the PATH. Exit status 0: nothing found, 1: something, 2: wrong use.
"""

import re
import shutil
import subprocess
import sys

LINE = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\d+\s+)?([A-Z][A-Za-z0-9_.]*)\s*([^;]*);")
HGMMA = re.compile(r"HGMMA\.64x(\d+)x16")
BRANCH = re.compile(r"0x([0-9a-f]+)\s*$")
PREDICATE = re.compile(r"!?U?P(\d+|T)$")
STORES = ("ST", "RED.", "CCTL", "BRA", "BAR", "SYNC", "EXIT")


def registers_of(operand, count=1):
    """Numbers of the registers that an operand such as R24 or -|R8.reuse| names."""
    found = re.search(r"\bR(\d+)\b", operand)
    return set(range(int(found[1]), int(found[1]) + count)) if found else set()


def width_of(name):
    """Registers that an instruction writes at once, at most."""
    if ".128" in name or name.startswith(("LDSM", "HMMA")):
        return 4
    return 2 if ".64" in name or ".WIDE" in name else 1


def operands_of(text):
    """The operands, without predicates in front."""
    operands = [part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip()]
    while operands and PREDICATE.match(operands[0]):
        operands.pop(0)
    return operands


def touched(name, operands):
    """Registers that an instruction writes, and those that it reads."""
    if not operands:
        return set(), set()
    stores = name.startswith(STORES)
    written = set() if stores else registers_of(operands[0], width_of(name))
    read = set().union(*(registers_of(part) for part in operands[0 if stores else 1 :]))
    return written, read


def check(kernel, lines):
    """Complaints about one kernel, and how many products it has."""
    at = {int(address, 16): i for i, (address, _, _) in enumerate(lines)}
    complaints, products = {}, sum(1 for _, name, _ in lines if HGMMA.match(name))
    ways, seen = [(0, frozenset(), frozenset())], set()
    while ways:
        i, left, sums = ways.pop()
        carried = i > 0  # behind a branch: until nothing runs
        while i < len(lines):
            if carried and not sums:
                break
            address, name, text = lines[i]
            operands = operands_of(text)
            if name.startswith("WARPGROUP.DEPBAR") and text.strip().endswith("0x0"):
                left, sums = frozenset(), frozenset()
            elif wide := HGMMA.match(name):
                own = registers_of(operands[1], 4) if operands[1].startswith("R") else set()
                if own & sums:
                    complaints[address] = f"{kernel} at 0x{address}: {name} {text.strip()}"
                left = left | own
                sums = sums | registers_of(operands[0], int(wide[1]) // 2)
            elif sums:
                written, read = touched(name, operands)
                if written & (left | sums) or read & sums:
                    complaints[address] = f"{kernel} at 0x{address}: {name} {text.strip()}"
                target = BRANCH.search(text.strip()) if name.startswith("BRA") else None
                way = target and (at.get(int(target[1], 16)), left, sums)
                if way and way[0] is not None and way not in seen:
                    seen.add(way)
                    ways.append(way)
            i += 1
    return list(complaints.values()), products


def self_test():
    """A loop whose product reads R4 to R7 and is waited for too late, and one that is right."""
    good = """
        /*0010*/ MOV R4, R20 ;
        /*0020*/ HGMMA.64x64x16.F32.BF16 R24, R4, gdesc[UR4].tnspB, R24, gsb0 ;
        /*0030*/ WARPGROUP.DEPBAR.LE gsb0, 0x0 ;
        /*0040*/ FADD R60, R24, R25 ;
        /*0050*/ @P0 BRA 0x10 ;"""
    late = good.replace("gsb0, 0x0", "gsb0, 0x1")
    around = good.replace("/*0030*/ WARPGROUP.DEPBAR.LE gsb0, 0x0", "/*0030*/ NOP").replace(
        "FADD R60, R24, R25", "FADD R60, R61, R62")
    for text, wanted in ((good, 0), (late, 2), (around, 1)):
        found = check("kernel", LINE.findall(text))[0]
        assert len(found) == wanted, (text, found)
    print("all right")


def main(files):
    for tool in ("cuobjdump", "nvdisasm"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not in the PATH: it is part of the CUDA toolkit")
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
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    elif sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
    elif len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    else:
        main(sys.argv[1:])
