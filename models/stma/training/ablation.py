"""Parts of a trained network switched off: how much its masks owe to each, without training anew."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from stma.errors import SettingsError
from stma.network.decoder import NEWEST_MAPS
from stma.network.model import STMA
from stma.network.stml import STMLBlock

CLOSED = -30.0  # before the sigmoid: nothing of the old memory passes the gate


def _readout(model: STMA) -> None:
    nn.init.zeros_(model.decoder.mix8.weight)


def _stml(model: STMA) -> None:
    for block in model.stml.blocks:
        assert isinstance(block, STMLBlock)
        block.reset_to_identity()


def _object_tokens(model: STMA) -> None:
    nn.init.zeros_(model.object_projection.project.weight)


def _fusion(model: STMA) -> None:
    gate = model.memory_encoder.gate
    assert gate.bias is not None
    nn.init.zeros_(gate.weight)
    nn.init.constant_(gate.bias, CLOSED)


def _newest(model: STMA) -> None:
    model.decoder.label.weight[:, NEWEST_MAPS] = 0


def _decoder(model: STMA) -> None:
    assert model.decoder.logit.bias is not None
    nn.init.zeros_(model.decoder.logit.weight)
    nn.init.zeros_(model.decoder.logit.bias)


PARTS: dict[str, Callable[[STMA], None]] = {
    "readout": _readout,  # ID association, and with it all that only its values and keys need
    "stml": _stml,  # keys straight from the embedding
    "object-tokens": _object_tokens,  # the same token for every object
    "fusion": _fusion,  # values of a frame without what was read for it
    "newest": _newest,  # the decoder without what the newest frame says by itself
    "decoder": _decoder,  # propagated labels as they are
}


@torch.no_grad()
def switch_off(model: STMA, parts: Sequence[str]) -> None:
    """Switch parts of a network off, in place.

    Args:
        model: network to change.
        parts: names in `PARTS`.

    Raises:
        SettingsError: a name that is not there.
    """
    for part in parts:
        if part not in PARTS:
            raise SettingsError(f"no part is called {part!r}", f"use {', '.join(PARTS)}")
        PARTS[part](model)
