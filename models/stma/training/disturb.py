"""Damage to the masks that a training clip remembers: drift that a short clip never shows by itself."""

import torch
from torch import Tensor
from torch.nn import functional

BLOBS = 6  # cells of the random field across the frame: blobs of about a sixth of it
NEAR = 8  # pixels at stride 4: leaks start at an object's edge
SHIFT = 2  # pixels at stride 4


def disturb_masks(
    masks: Tensor, object_valid: Tensor, probability: float, generator: torch.Generator
) -> Tensor:
    """Leaks, holes, swaps and shifts in some of the clips.

    A leak gives a blob of the surroundings to an object, a hole takes one from all objects, a swap gives a part of
    one object to another: what accumulates over hundreds of frames when nothing corrects it.

    Args:
        masks: (B, K, h, w) soft masks in 0..1.
        object_valid: (B, K) bool, False for padding.
        probability: share of clips that are disturbed.
        generator: of the CPU, so that a seed gives the same damage on every device.

    Returns:
        (B, K, h, w) masks, the same where a clip is left alone.
    """
    batch, objects, height, width = masks.shape

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator).to(masks.device, non_blocking=True)

    chosen = torch.rand(batch, 1, 1, 1, generator=generator) < probability
    if not bool(chosen.any()):  # decided on the CPU: a GPU need not be waited for
        return masks
    chosen = chosen.to(masks.device, non_blocking=True)
    field = torch.randn(batch, 1, BLOBS, BLOBS, generator=generator).to(masks.device)
    field = functional.interpolate(field, size=(height, width), mode="bicubic", align_corners=False)
    with torch.no_grad():
        near = functional.max_pool2d(masks.amax(1, keepdim=True), 2 * NEAR + 1, stride=1, padding=NEAR) > 0.5
        blob = (field > 0.4 + draw(batch, 1, 1, 1)) & near & chosen  # (B, 1, h, w)
        owner = (draw(batch, objects) * object_valid).argmax(1)  # one real object per clip
        owner = functional.one_hot(owner, objects).to(masks.dtype)[:, :, None, None]
        owner = owner * (draw(batch, 1, 1, 1) < 0.6)  # otherwise a hole
    damaged = torch.where(blob, owner.expand(-1, -1, height, width), masks)
    down, right = (int(shift) for shift in torch.randint(-SHIFT, SHIFT + 1, (2,), generator=generator))
    around = functional.pad(
        damaged, (SHIFT,) * 4, mode="replicate"
    )  # what touches a border goes on beyond it
    rows, columns = slice(SHIFT - down, SHIFT - down + height), slice(SHIFT - right, SHIFT - right + width)
    return torch.where(chosen, around[:, :, rows, columns], masks)
