"""What this machine's CPU multiplies fast: told by Linux without torch, elsewhere by torch once it is loaded."""

import sys
from pathlib import Path

CPU_DESCRIPTION = Path("/proc/cpuinfo")
DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8")  # extensions that sum up products of 8-bit numbers


def has_fast_bf16() -> bool:
    """Whether this CPU multiplies bf16 matrices faster than fp32 ones.

    Matrix units (AMX) do. So do AMD's cores with AVX512_BF16, at twice the rate of fp32 (223 against 112 GFLOP/s in a
    128-channel 3x3 convolution on one core of a Zen 4); Intel's with that extension alone are slower than in fp32.
    """
    described = _described()
    return "amx_bf16" in described or ("AuthenticAMD" in described and "avx512_bf16" in described)


def has_dot_products() -> bool:
    """Whether this CPU sums up products of 8-bit numbers in one instruction."""
    flags = _described().split()
    return any(one in flags for one in DOT_PRODUCTS)


def has_int8_products() -> bool:
    """Whether this CPU multiplies 8-bit numbers faster than fp32 ones.

    One with AVX2 alone, which adds up pairs of products in 16 bits, makes twice as many (266 to 303 against 141 to 159
    GOP/s in 3x3 convolutions on two cores of a Zen 3). AVX-512 without dot products was not measured.
    """
    flags = _described().split()
    return has_dot_products() or ("avx2" in flags and "avx512f" not in flags)


def _described() -> str:
    """Maker and instruction sets in the words of Linux; nothing where nobody tells."""
    try:
        return CPU_DESCRIPTION.read_text("utf-8", "replace")
    except OSError:
        return _told_by_torch()


def _told_by_torch() -> str:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch.cpu, "get_capabilities"):  # an older torch
        return ""
    told = torch.cpu.get_capabilities()
    maker = "AuthenticAMD" if "AMD" in str(told.get("cpu_name", "")) else ""
    sets = [name.replace("avx512_f", "avx512f") for name, has in told.items() if has is True]
    return " ".join([maker, *sets])
