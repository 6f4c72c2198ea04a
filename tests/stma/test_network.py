"""Properties of the network that need neither data nor training."""

from typing import Any

import pytest
import torch
from tiny_network import tiny_network
from torch.utils._python_dispatch import TorchDispatchMode

from stma.config import MODEL_CONFIGS
from stma.device import Precision
from stma.network.entries import join_entries
from stma.network.label_propagation import LabelEntry, PropagatedLabels
from stma.network.model import STMA
from stma.network.soft_masks import certainty_of, masks_from_logits, sharpen_foreground, soft_aggregation
from stma.training.ablation import switch_off

TINY = MODEL_CONFIGS["tiny"]


@pytest.fixture(scope="module")
def model() -> STMA:
    return tiny_network()


def run_two_frames(
    model: STMA, frames: torch.Tensor, masks: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    features = model.embed(frames)
    entry = model.remember_first(features.frames(0, 1), masks, valid)
    test = model.encode_test(features.frames(1, 2), model.encode_references([entry], valid[:, None]))
    logits = model.follow(test, [join_entries([entry])], focus=False)[1].logits
    return masks_from_logits(logits, valid)[1]


def two_frames() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    frames = 255 * torch.rand(2, 3, 64, 96, generator=generator)
    masks = torch.zeros(1, 3, 16, 24)
    masks[0, 0, 2:8, 2:8] = 1
    masks[0, 1, 6:14, 10:16] = 1
    masks[0, 2, 1:5, 17:23] = 1
    return frames, masks


def test_padded_objects_change_nothing(model: STMA) -> None:
    frames, masks = two_frames()
    alone = run_two_frames(model, frames, masks[:, :2], torch.ones(1, 2, dtype=torch.bool))
    padded = torch.cat([masks[:, :2], torch.zeros(1, 1, 16, 24)], dim=1)
    among = run_two_frames(model, frames, padded, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(among[:, :2], alone, rtol=1e-4, atol=1e-5)
    assert not among[:, 2].gt(1e-5).any()


def test_permuted_objects_permute_the_masks(model: STMA) -> None:
    frames, masks = two_frames()
    valid = torch.ones(1, 3, dtype=torch.bool)
    order = [2, 0, 1]
    straight = run_two_frames(model, frames, masks, valid)
    permuted = run_two_frames(model, frames, masks[:, order], valid)
    torch.testing.assert_close(permuted, straight[:, order], rtol=1e-4, atol=1e-5)


def test_soft_aggregation_is_a_distribution() -> None:
    probabilities = torch.rand(2, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    distribution = soft_aggregation(probabilities).softmax(dim=1)
    torch.testing.assert_close(distribution.sum(1), torch.ones(2, 5, 6))
    assert soft_aggregation(torch.zeros(1, 3, 2, 2)).argmax(1).eq(0).all()


def test_soft_aggregation_weighs_by_odds_and_leaves_to_the_background_what_no_object_claims() -> None:
    claims = torch.tensor([0.28, 0.3, 0.6])  # (1 - 0.3) (1 - 0.6), and the objects
    odds = claims / (1 - claims)
    found = soft_aggregation(claims[1:].view(1, 2, 1, 1)).softmax(dim=1)
    torch.testing.assert_close(found.flatten(), odds / odds.sum())


@pytest.mark.parametrize("sharpness", [1.0, 1.5, 4.0])
def test_sharpening_decides_the_foreground_and_keeps_the_shares_of_it(sharpness: float) -> None:
    masks = torch.tensor([[0.0, 0.1, 0.25, 0.4, 0.6, 1.0], [0.0, 0.2, 0.25, 0.4, 0.0, 0.0]]).view(1, 2, 1, 6)
    sharp = sharpen_foreground(masks, sharpness)
    before, after = masks.sum(1).flatten(), sharp.sum(1).flatten()
    odds = before / (1 - before)
    torch.testing.assert_close(after[:5], (odds**sharpness / (1 + odds**sharpness))[:5])
    assert after[0] == 0
    assert after[5] == 1
    visible = before > 0
    torch.testing.assert_close(
        (sharp[0, 0] / sharp.sum(1)[0]).flatten()[visible], (masks[0, 0] / masks.sum(1)[0]).flatten()[visible]
    )


def test_sharpening_stays_finite_without_objects_and_above_one() -> None:
    assert sharpen_foreground(torch.zeros(1, 0, 2, 2), 2.0).shape == (1, 0, 2, 2)
    over = sharpen_foreground(torch.full((1, 1, 2, 2), 1 + 1e-6), 2.0)  # sums of a softmax round so
    torch.testing.assert_close(over, torch.ones(1, 1, 2, 2))


def test_preparing_for_inference_keeps_the_embedding() -> None:
    torch.manual_seed(2)
    model = STMA(TINY)
    model.train()
    for _ in range(3):
        model.embed(255 * torch.rand(2, 3, 32, 48))  # moves the running statistics away from their start
    model.eval()
    frames = 255 * torch.rand(1, 3, 32, 48)
    before = model.embed(frames)
    model.prepare(torch.device("cpu"), Precision("fp32", torch.float32))
    after = model.embed(frames)
    torch.testing.assert_close(after.stride16, before.stride16, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(after.label_key, before.label_key, rtol=1e-3, atol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())


def test_what_was_a_guess_is_less_certain_and_never_quite_nothing() -> None:
    masks = torch.tensor([[0.0, 0.5, 0.25, 0.9, 0.5], [0.0, 0.0, 0.25, 0.0, 0.5]]).view(1, 2, 1, 5)
    certainty = certainty_of(masks.requires_grad_(), 4.0)
    assert not certainty.requires_grad
    torch.testing.assert_close(certainty.flatten(), torch.tensor([1.0, 1e-6, 1e-6, 0.8**4, 1.0]))
    assert certainty.gt(0).all(), "its logarithm is finite"
    assert certainty_of(masks, 0.0).eq(1).all()
    assert certainty_of(torch.zeros(1, 0, 2, 2), 4.0).eq(1).all(), "without objects all is background"


def test_without_the_newest_frame_the_decoder_sees_nothing_that_it_says() -> None:
    model = tiny_network()
    torch.nn.init.normal_(model.decoder.label.weight)
    frames, masks = two_frames()
    valid = torch.ones(1, 3, dtype=torch.bool)
    features = model.embed(frames)
    entry = model.remember_first(features.frames(0, 1), masks, valid)
    test = model.encode_test(features.frames(1, 2), model.encode_references([entry], valid[:, None]))
    draft = model.decoder.draft(test.context, torch.rand(1, 3, TINY.value_width, 4, 6))
    told = torch.rand(6, 1, 3, 8, 12)
    labels = PropagatedLabels(told[0], told[1], told[2], told[3:].permute(1, 2, 0, 3, 4))
    other = told.clone()
    other[[2, 5]] = torch.rand(2, 1, 3, 8, 12)  # what the newest frame says
    changed = PropagatedLabels(other[0], other[1], other[2], other[3:].permute(1, 2, 0, 3, 4))

    def differ() -> bool:
        before, after = (model.decoder(test.context, draft, each).logits for each in (labels, changed))
        return not torch.equal(before, after)

    assert differ()
    switch_off(model, ["newest"])
    assert not differ()


class NoWaiting(TorchDispatchMode):
    """Raises where an operation makes the host wait for a value of the device."""

    def __torch_dispatch__(
        self, operation: Any, types: Any, given: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        waits = {"_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "_unique2"}
        assert operation.overloadpacket.__name__ not in waits, f"{operation} waits for the device"
        return operation(*given, **(named or {}))


def test_a_step_never_makes_the_host_wait(model: STMA) -> None:
    frames, masks = two_frames()
    valid = torch.ones(1, 3, dtype=torch.bool)
    with NoWaiting():
        features = model.embed(frames)
        entry = model.remember_first(features.frames(0, 1), masks, valid)
        test = model.encode_test(features.frames(1, 2), model.encode_references([entry], valid[:, None]))
        near = LabelEntry(entry.label_key, entry.label_mask, window=3)
        readout, decoded = model.follow(test, [join_entries([entry], [near])], focus=False)
        masks = masks_from_logits(decoded.logits)[1]
        model.judge(decoded, masks, readout)
        model.remember(test, masks, readout)
