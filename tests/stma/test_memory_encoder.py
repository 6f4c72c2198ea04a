"""What is remembered of an object: its values, and the tokens that summarise them."""

import pytest
import torch
from colour_network import colour_network

from stma.network.embedding import Features
from stma.network.memory_encoder import MemoryEncoder, ObjectProjection
from stma.network.model import STMA


@pytest.fixture(scope="module")
def model() -> STMA:
    return colour_network()


def features(model: STMA) -> Features:
    return model.embed(255 * torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1)))


def two_masks() -> torch.Tensor:
    masks = torch.zeros(1, 2, 16, 24)
    masks[0, 0, 2:10, 3:12], masks[0, 1, 6:14, 14:20] = 1, 1
    return masks


def test_an_object_alone_has_no_others_beside_it(model: STMA) -> None:
    encoder: MemoryEncoder = model.memory_encoder
    seen, masks = features(model), two_masks()
    first_alone = encoder(seen, masks[:, :1], None)
    absent = torch.cat([masks[:, :1], torch.zeros(1, 1, 16, 24)], dim=1)
    torch.testing.assert_close(encoder(seen, absent, None)[:, :1], first_alone)
    assert not torch.allclose(encoder(seen, masks, None)[:, :1], first_alone), "the other one is seen"
    with_others = encoder.mask8.weight.clone()
    try:
        encoder.mask8.weight[:, 1].zero_()
        torch.testing.assert_close(encoder(seen, masks[:, :1], None), first_alone)
    finally:
        encoder.mask8.weight.copy_(with_others)


def test_what_is_remembered_lies_between_what_is_seen_and_what_the_memory_said(model: STMA) -> None:
    seen, masks = features(model), two_masks()
    new = model.memory_encoder(seen, masks, None)
    torch.testing.assert_close(model.memory_encoder(seen, masks, new), new)
    old = new + torch.randn(new.shape, generator=torch.Generator().manual_seed(2))
    mixed = model.memory_encoder(seen, masks, old)
    assert ((mixed - torch.minimum(new, old) > -1e-5) & (torch.maximum(new, old) - mixed > -1e-5)).all()


def test_an_object_is_summarised_from_the_entries_that_know_it(model: STMA) -> None:
    projection: ObjectProjection = model.object_projection
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(1, 2, 2, model.config.value_width, 4, 6, generator=generator)
    masks = torch.rand(1, 2, 2, 4, 6, generator=generator)
    known = torch.tensor([[[True, False], [True, True]]])  # the second object is in the second entry alone
    tokens, valid = projection(values, masks, known)
    each = model.config.tokens_per_object
    assert valid.tolist() == [[True] * 2 * each]
    other = values.clone()
    other[:, 0, 1] += 1
    torch.testing.assert_close(projection(other, masks, known)[0], tokens)
    other[:, 1, 1] += 1
    assert not torch.allclose(projection(other, masks, known)[0][:, each:], tokens[:, each:])
    nobody = projection(values, masks, torch.tensor([[[True, False], [True, False]]]))[1]
    assert nobody.tolist() == [[True] * each + [False] * each]
