"""The network that its tests share."""

import torch

from stma.config import MODEL_CONFIGS
from stma.network.model import STMA


def tiny_network() -> STMA:
    """A tiny network, untrained, whose STML blocks do something."""
    torch.manual_seed(1)
    model = STMA(MODEL_CONFIGS["tiny"]).eval().requires_grad_(False)
    for parameter in model.stml.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model
