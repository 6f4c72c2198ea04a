"""A tiny network without training whose features tell colours apart, so that it follows objects of plain colours.

Its weights are drawn by numpy, so they are the same everywhere, and all of them count: those of an untrained network
start as no-ops in places, and its keys are nearly the same for all colours, so that it loses everything at once.
"""

import math

import numpy as np
import torch
from torch import Tensor

from stma.config import MODEL_CONFIGS
from stma.network.model import STMA


def colour_network() -> STMA:
    """The network, in evaluation mode."""
    rng = np.random.default_rng(6)
    model = STMA(MODEL_CONFIGS["tiny"]).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            scale = math.sqrt(parameter.shape[0] / parameter.numel() / 3)  # of the numbers that are summed up
        elif name.endswith("bias"):
            scale = 0.1
        else:
            continue  # factors of norms
        parameter.copy_(torch.from_numpy(rng.normal(0, scale, parameter.shape)))
    model.label_propagation.temperature.logarithm.fill_(math.log(60))
    model.label_propagation.unlikeness.fill_(0.1)
    model.id_association.temperature.logarithm.fill_(math.log(30))
    model.decoder.logit.weight.mul_(0.15)
    model.decoder.logit.bias.fill_(0.7)
    model.decoder.coarse.bias.fill_(-1.0)
    model.quality.output.weight.mul_(8)
    pixels = torch.from_numpy(rng.integers(0, 255, (1, 3, 8, 8), dtype=np.uint8))
    picture = pixels.repeat_interleave(16, 2).repeat_interleave(16, 3)  # (1, 3, 128, 128)
    _centre(model, picture)
    return model


def _centre(model: STMA, picture: Tensor) -> None:
    """Take the mean over a picture off the keys, which leaves what differs from cell to cell."""
    layers = model.embedding.get_submodule("label_key"), model.id_association.key
    means: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, found, cells=cells: means.append(found.mean(cells)))
        for layer, cells in zip(layers, ((0, 2, 3), (0, 1)), strict=True)
    ]
    model.remember_first(model.embed(picture), torch.zeros(1, 1, 32, 32), torch.ones(1, 1, dtype=torch.bool))
    for layer, mean, hook in zip(layers, means, hooks, strict=True):
        layer.get_parameter("bias").sub_(mean)
        hook.remove()
