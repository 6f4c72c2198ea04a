"""Powers of two: exact where they are learned from, near enough and without denormals where a frame waits for them."""

import pytest
import torch

from stma.network.powers import FAINTEST_POWER, LARGEST_POWER, powers_of_two, steps


def test_cheap_powers_are_within_their_bounds_of_the_exact_ones() -> None:
    wanted = torch.linspace(-100, 60, 20_011).bfloat16()
    with torch.inference_mode():
        found = powers_of_two(wanted * steps(wanted))
    assert found.dtype == torch.bfloat16
    ratio = found.double() / torch.exp2(wanted.double())
    assert ratio.min() > 0.985  # an exponent is cut off to 1/64: above zero, the power is up to 1 % too small
    assert ratio.max() < 1.08  # linear digits, and below zero up to 1 % of the same
    assert ratio[wanted < 0].mean() == pytest.approx(1.034, abs=0.01)
    assert (found[1:] >= found[:-1]).all(), "a better match never counts less"


def test_cheap_powers_of_any_layout_do_not_depend_on_neighbours() -> None:
    exponents = (torch.randn(7, 1031, generator=torch.Generator().manual_seed(1)) * 3000 - 2000).bfloat16()
    with torch.inference_mode():
        one_by_one = torch.stack([powers_of_two(one.clone()[None])[0] for one in exponents.flatten()])
        every = powers_of_two(exponents.clone())
        turned = powers_of_two(exponents.t().contiguous().t())
    assert torch.equal(every.flatten(), one_by_one)
    assert torch.equal(every, turned)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_power_is_denormal_or_infinite(dtype: torch.dtype) -> None:
    exponents = torch.tensor([-350.0, -127.0, FAINTEST_POWER, 0.0, LARGEST_POWER], dtype=dtype)
    with torch.inference_mode():
        found = powers_of_two(exponents * steps(exponents))
    expected = exponents.float().clamp(min=FAINTEST_POWER).exp2()
    torch.testing.assert_close(found.float(), expected)  # whole exponents are exact in both ways


def test_powers_that_are_learned_from_are_exact() -> None:
    exponents = torch.tensor([-20.3, -0.7, 1.3], dtype=torch.bfloat16, requires_grad=True)
    assert steps(exponents) == 1
    powers = powers_of_two(exponents * 1)
    torch.testing.assert_close(powers, exponents.exp2())
    powers.sum().backward()
    torch.testing.assert_close(exponents.grad, exponents.detach().exp2() * 0.6931, rtol=0.02, atol=0)
