"""How sharply the memory is read: factors on the learned temperatures, which have an upper limit."""

import math
from collections.abc import Callable

import pytest
import torch
from colour_network import colour_network
from torch import Tensor
from torch.nn import functional

from stma.network.affinity import HOTTEST, Temperature
from stma.network.association import with_known
from stma.network.entries import join_entries
from stma.network.label_propagation import LabelEntry
from stma.network.model import STMA

CELLS = 24


def unit_keys(seed: int) -> Tensor:
    return functional.normalize(
        torch.randn(1, CELLS, 16, generator=torch.Generator().manual_seed(seed)), dim=2
    )


def read_out(model: STMA, sharpness: float) -> Tensor:
    values = torch.randn(1, CELLS, 2, 16, generator=torch.Generator().manual_seed(3))
    found: Tensor = model.id_association(unit_keys(1), [unit_keys(2)], [with_known(values)], sharpness)
    return found


def propagated(model: STMA, sharpness: float) -> Tensor:
    masks = torch.rand(1, 2, CELLS, generator=torch.Generator().manual_seed(4))
    query = unit_keys(1).transpose(1, 2).unflatten(2, (4, 6))
    found: Tensor = model.label_propagation(query, [LabelEntry(unit_keys(2), masks)], sharpness).masks
    return found


@pytest.mark.parametrize(
    ("reading", "part"), [(read_out, "id_association"), (propagated, "label_propagation")]
)
def test_sharpness_is_a_factor_on_the_temperature_up_to_the_hottest(
    reading: Callable[[STMA, float], Tensor], part: str
) -> None:
    model = colour_network()
    temperature = model.get_submodule(part).temperature
    assert isinstance(temperature, Temperature)

    def at(degrees: float, sharpness: float) -> Tensor:
        temperature.logarithm.fill_(math.log(degrees))
        return reading(model, sharpness)

    torch.testing.assert_close(at(6.0, 1.5), at(9.0, 1.0))
    assert not torch.allclose(at(6.0, 1.5), at(6.0, 1.0))
    torch.testing.assert_close(at(60.0, 1000.0), at(HOTTEST, 1.0))


def test_the_background_weighs_no_more_than_a_cell_that_looks_the_same() -> None:
    model = colour_network()
    keys = unit_keys(2)
    query = keys.transpose(1, 2).unflatten(2, (4, 6))
    everywhere = LabelEntry(keys, torch.ones(1, 1, CELLS))
    found = []
    for unlikeness in (0.0, -0.2):
        model.label_propagation.unlikeness.fill_(unlikeness)
        found.append(model.label_propagation(query, [everywhere]).masks)
    assert (found[0] > 0.45).all()
    torch.testing.assert_close(found[1], found[0])


def test_a_view_says_how_sharply_values_are_read() -> None:
    model = colour_network()
    frames = 255 * torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(5))
    features = model.embed(frames)
    known = torch.ones(1, 1, dtype=torch.bool)
    entry = model.remember_first(features.frames(0, 1), torch.rand(1, 1, 16, 24), known)
    test = model.encode_test(features.frames(1, 2), model.encode_references([entry], known[:, None]))
    mild, sharp = (
        model.follow(test, (join_entries([entry], readout_sharpness=value),), focus=False)[0]
        for value in (0.1, 3.0)
    )
    assert not torch.allclose(mild.values, sharp.values, rtol=1e-2)
    torch.testing.assert_close(mild.labels.masks, sharp.labels.masks)
