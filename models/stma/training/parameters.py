"""Which parameters of the network learn, how fast, and whether gradients reach them."""

from typing import Any

from torch import nn

from stma.errors import SettingsError
from stma.network.model import STMA
from stma.training.config import TrainConfig

FEATURES = ("embedding", "label_propagation")  # what the labels travel by: keys and their temperature


def feature_parameters(model: STMA) -> list[nn.Parameter]:
    """The parameters of `FEATURES`."""
    return [parameter for name in FEATURES for parameter in model.get_submodule(name).parameters()]


def parameter_groups(model: STMA, config: TrainConfig) -> list[dict[str, Any]]:
    """Groups for the optimiser: the features and the rest, each with and without weight decay."""
    groups = []
    for features in (False, True):
        chosen = [p for name, p in model.named_parameters() if (name.split(".")[0] in FEATURES) == features]
        for decays in (True, False):
            groups.append(
                {
                    "params": [p for p in chosen if (p.ndim > 1) == decays],
                    "weight_decay": config.weight_decay if decays else 0.0,
                    "features": features,
                }
            )
    return groups


def freeze(model: STMA) -> None:
    """Keep the features as they are, batch statistics included; gradients then stop before them."""
    for name in FEATURES:
        module = model.get_submodule(name)
        module.requires_grad_(False)
        module.eval()


def fix_statistics(model: STMA) -> None:
    """Let batch norms use and keep their running statistics, as in inference; their scales and shifts still learn."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def freeze_all_but(model: STMA, prefixes: tuple[str, ...]) -> None:
    """Let only the parameters learn whose names begin with one of the prefixes; all batch statistics stay.

    Raises:
        SettingsError: a prefix that no parameter begins with.
    """
    chosen = {name for prefix in prefixes for name in _names(model, prefix)}
    model.eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)


def renew(model: STMA, fresh: STMA, prefixes: tuple[str, ...]) -> None:
    """Take the parameters whose names begin with one of the prefixes from another network.

    Raises:
        SettingsError: a prefix that no parameter begins with.
    """
    source = fresh.state_dict()
    target = model.state_dict()
    for prefix in prefixes:
        for name in _names(model, prefix):
            target[name].copy_(source[name])


def _names(model: STMA, prefix: str) -> list[str]:
    """Entries of the state that belong to a module, or the one of that name."""
    names = [name for name in model.state_dict() if name == prefix or name.startswith(prefix + ".")]
    if not names:
        modules = ", ".join(name for name, _ in model.named_children())
        raise SettingsError(f"no part of the network is called {prefix!r}", f"its modules are {modules}")
    return names


def gradient_norms(model: nn.Module) -> dict[str, float]:
    """Norm of the gradient of each module that holds parameters two levels down, such as `decoder.mix8`."""
    squares: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            module = ".".join(name.split(".")[:2])
            squares[module] = squares.get(module, 0.0) + float(parameter.grad.float().square().sum())
    return {module: round(square**0.5, 7) for module, square in squares.items()}
