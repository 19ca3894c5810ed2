"""Theoretical occupancy: the warps that can be resident on a multiprocessor, as a share of those it has room for.

The arithmetic and the numbers are those of the toolkit's own cuda_occupancy.h and of the table "technical
specifications per compute capability" in the CUDA programming guide. The L1 cache is taken to leave shared memory as
much room as the architecture allows.
"""

from __future__ import annotations

from typing import NamedTuple

WARP = 32
REGISTERS = 64 << 10  # of a multiprocessor, and as many at most of a block
REGISTER_UNIT = 256  # a warp gets multiples of it
SUBPARTITIONS = 4  # of a multiprocessor, each with a quarter of the registers; a warp lives in one


class Multiprocessor(NamedTuple):
    """What all blocks on it share; memory in bytes."""

    warps: int
    blocks: int
    shared: int
    shared_unit: int  # a block gets multiples of it
    reserved: int  # shared memory of each block that the system takes
    barriers: int  # 0 where they are no limit


MULTIPROCESSORS = {
    "sm_75": Multiprocessor(32, 16, 64 << 10, 256, 0, 0),
    "sm_80": Multiprocessor(64, 32, 164 << 10, 128, 1 << 10, 0),
    "sm_86": Multiprocessor(48, 16, 100 << 10, 128, 1 << 10, 0),
    "sm_89": Multiprocessor(48, 24, 100 << 10, 128, 1 << 10, 0),
    "sm_90": Multiprocessor(64, 32, 228 << 10, 128, 1 << 10, 64),
    "sm_100": Multiprocessor(64, 32, 228 << 10, 128, 1 << 10, 64),
    "sm_120": Multiprocessor(48, 24, 100 << 10, 128, 1 << 10, 24),
}


def resident_blocks(architecture: str, threads: int, registers: int, shared: int = 0, barriers: int = 0) -> int:
    """Return how many blocks a multiprocessor holds at once, 0 where not even one fits.

    ``shared`` is static and dynamic shared memory together, ``registers`` is of a thread.
    """
    limit = MULTIPROCESSORS[architecture]
    warps = -(-threads // WARP)
    of_warp = _up(registers * WARP, REGISTER_UNIT)
    if of_warp * _up(warps, SUBPARTITIONS) > REGISTERS:
        return 0
    blocks = [limit.blocks, limit.warps // warps]
    if registers:
        blocks.append(REGISTERS // SUBPARTITIONS // of_warp * SUBPARTITIONS // warps)
    if taken := _up(shared + limit.reserved, limit.shared_unit):
        blocks.append(limit.shared // taken)
    if barriers and limit.barriers:
        blocks.append(limit.barriers // barriers)
    return min(blocks)


def occupancy(architecture: str, threads: int, registers: int, shared: int = 0, barriers: int = 0) -> float:
    """Return the share of a multiprocessor's warps that those of its resident blocks are."""
    blocks = resident_blocks(architecture, threads, registers, shared, barriers)
    return blocks * -(-threads // WARP) / MULTIPROCESSORS[architecture].warps


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
