"""The shipped weights use the whole network: a path that training switched off would still give plausible masks."""

import torch
from skimage.data import astronaut

from stma.training.clip import ClipBatch, run_clip
from stma.training.config import LossConfig
from stma.weights import load_model


def test_no_path_of_the_shipped_network_is_switched_off() -> None:
    picture = torch.from_numpy(astronaut()[:224, 128:352])[::2, ::2].permute(2, 0, 1)  # (3, 112, 112)
    moved = torch.stack([picture.roll((2 * t, 3 * t), (1, 2)) for t in range(3)])
    gone = torch.cat([moved[:1], torch.zeros_like(moved[1:])])  # the object leaves, and its mask is empty
    labels = torch.zeros(2, 3, 112, 112, dtype=torch.uint8)
    for time in range(3):
        labels[0, time, 10 + 2 * time : 60 + 2 * time, 30 + 3 * time : 75 + 3 * time] = 1
    labels[1, 0] = labels[0, 0]
    regions = torch.ones(2, 3, 14, 14, dtype=torch.uint8)
    model = load_model("small").model
    clips = ClipBatch(torch.stack([moved, gone]), labels, regions, torch.ones(2, 1, dtype=torch.bool))
    run_clip(model, clips, 1.0, LossConfig(), torch.Generator()).total.backward()
    silent = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]
    assert not silent
