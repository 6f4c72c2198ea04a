"""Powers of two, the weights of affinities: exact, or cheap where a frame waits for them.

A CPU takes three times as long for a power below 2^-126, where numbers become denormal, as for others, and most cells
of a memory look that little like the test cell.
"""

import torch
from torch import Tensor

FINE = 64  # steps per doubling: 16 bits then hold exponents of +-511, as finely as bf16 near one
DIGITS = 128  # steps per doubling in the bits of a bf16 number: it keeps 7 binary digits behind the first
ONE = torch.tensor(127 * DIGITS, dtype=torch.int16, device="cpu")  # the bits of one
FAINTEST_POWER = -120  # far below what tells objects apart, and no denormal
LARGEST_POWER = 100  # so many of them that a sum of a million stays in range


def steps(like: Tensor) -> int:
    """Steps per doubling in which `powers_of_two` expects exponents that are products of tensors like this one.

    Factors of a product carry them, so that they cost nothing and nothing is rounded by them.
    """
    cheap = like.device.type == "cpu" and like.dtype == torch.bfloat16 and not torch.is_grad_enabled()
    return FINE if cheap else 1


def powers_of_two(exponents: Tensor) -> Tensor:
    """2 ** (exponents / `steps(exponents)`), of the same shape and type; the exponents may be overwritten.

    With more than one step a bf16 number is made from its bits, exponent and digits being one integer that grows by
    `DIGITS` with each doubling (Schraudolph, Neural Computation 11, 1999). Digits that grow linearly are 0 to 6.2 %
    above the power, 3.2 % in the mean, which a softmax cancels; exponents are kept within
    `FAINTEST_POWER` and `LARGEST_POWER`.
    """
    if steps(exponents) == 1:
        if exponents.device.type == "cpu" and not exponents.requires_grad:
            exponents = exponents.clamp_min_(FAINTEST_POWER)
        return exponents.exp2_()
    bits = exponents.view(torch.int16).copy_(exponents)  # where the exponents were
    torch.add(ONE, bits.clamp_(FAINTEST_POWER * FINE, LARGEST_POWER * FINE), alpha=DIGITS // FINE, out=bits)
    return exponents
