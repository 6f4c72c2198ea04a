"""Mean of weights: python docs/mix_weights.py OUT.safetensors SHARE:FILE SHARE:FILE ... (shares add up to 1)

NAME=NUMBER besides sets a parameter by hand: label_propagation.unlikeness=0.21
"""

import sys
from pathlib import Path

import torch

from stma import load_model
from stma.weights import save_weights


def mix(target: Path, shares: dict[str, float], by_hand: dict[str, float] | None = None) -> str:
    """Write the weighted mean of weights files of one network, some parameters set to a number; returns the sha256 of
    the file."""
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise SystemExit(f"the shares add up to {sum(shares.values()):.3f}; give shares that add up to 1")
    models = {name: load_model(name).model for name in shares}
    first, *_ = models.values()
    with torch.no_grad():
        for name, tensor in first.state_dict().items():
            if tensor.is_floating_point():
                parts = [share * models[file].state_dict()[name] for file, share in shares.items()]
                tensor.copy_(torch.stack(parts).sum(0))
        for name, number in (by_hand or {}).items():
            first.get_parameter(name).fill_(number)
    return save_weights(first, target)


if __name__ == "__main__":
    files = dict(reversed(word.split(":", 1)) for word in sys.argv[2:] if "=" not in word)
    numbers = dict(word.split("=", 1) for word in sys.argv[2:] if "=" in word)
    print(
        mix(
            Path(sys.argv[1]),
            {file: float(share) for file, share in files.items()},
            {name: float(number) for name, number in numbers.items()},
        )
    )
