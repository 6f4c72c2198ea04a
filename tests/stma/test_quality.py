"""What the quality head sees of a mask."""

import pytest
import torch

from stma.config import MODEL_CONFIGS
from stma.network.decoder import Decoded
from stma.network.label_propagation import PropagatedLabels
from stma.network.quality import MaskQuality, is_empty

CONFIG = MODEL_CONFIGS["tiny"]


def judged(
    head: MaskQuality, labels: float, coarse: float, masks: torch.Tensor | None = None
) -> torch.Tensor:
    """Logits for one object: labels of one strength in a corner of the frame, a readout of one strength."""
    found = torch.zeros(1, 1, 8, 8)
    found[..., :2, :2] = labels
    decoded = Decoded(
        logits=torch.zeros(1, 1, 16, 16),
        stride8=torch.ones(1, CONFIG.decoder_width, 8, 8),
        coarse=torch.full((1, 1, 4, 4), coarse),
    )
    propagated = PropagatedLabels(found, found, found, torch.zeros(1, 1, 3, 8, 8))
    with torch.no_grad():
        result: torch.Tensor = head(
            decoded, torch.zeros(1, 1, 16, 16) if masks is None else masks, propagated
        )
    return result


@pytest.fixture
def head() -> MaskQuality:
    torch.manual_seed(0)
    return MaskQuality(CONFIG)


def test_an_empty_mask_is_judged_by_what_labels_and_readout_find(head: MaskQuality) -> None:
    away = judged(head, 0.0, -8.0)
    assert away.isfinite().all()
    assert (judged(head, 0.6, -8.0) - away).abs() > 1e-3, (
        "labels that find something tell a miss from an absence"
    )
    assert (judged(head, 0.0, 4.0) - away).abs() > 1e-3, "so does the readout"


def test_a_mask_is_judged_by_its_own_shape_too(head: MaskQuality) -> None:
    full = torch.zeros(1, 1, 16, 16)
    full[..., :4, :4] = 1
    assert (judged(head, 0.6, 4.0, full) - judged(head, 0.6, 4.0)).abs() > 1e-3


def test_a_mask_without_area_is_empty_and_one_of_a_few_cells_is_not(head: MaskQuality) -> None:
    seen: list[torch.Tensor] = []
    head.hidden.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    small = torch.zeros(1, 1, 16, 16)
    small[..., :2, :2] = 1
    judged(head, 0.6, 4.0)
    judged(head, 0.6, 4.0, small)
    assert [is_empty(one).item() for one in seen] == [True, False]
