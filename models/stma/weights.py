"""Weights to and from networks: float16 safetensors, those that ship with a model card beside each."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from stma.errors import WeightsError
from stma.network.model import STMA
from stma.saving import replacing, writing
from stma.weights_file import (
    ModelInfo,
    checksum_file,
    find_weights,
    model_info,
    read_config,
    require_checksum,
)


@dataclass(frozen=True)
class LoadedModel:
    """A network with its weights, float32 on the CPU, in evaluation mode, and where they came from."""

    model: STMA
    info: ModelInfo


def save_weights(model: STMA, path: Path) -> str:
    """Write weights as float16 safetensors with the configuration inside and `<path>.sha256` beside; return the sum.

    Raises:
        OutputError: they cannot be written.
    """
    tensors = {
        name: tensor.detach().half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    content = save(tensors, {"config": json.dumps(asdict(model.config))})
    checksum = hashlib.sha256(content).hexdigest()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    with replacing(checksum_file(path)) as temporary:
        temporary.write_text(f"{checksum}  {path.name}\n", "utf-8", "surrogateescape")
    return checksum


def load_model(name_or_path: str = "small") -> LoadedModel:
    """Load a shipped model by name, or any weights file written by `stma train`.

    Raises:
        WeightsError: missing, damaged, with a wrong checksum, of another architecture, or not finite.
    """
    path = find_weights(name_or_path)
    info = model_info(path)
    require_checksum(info)
    config = read_config(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is not a weights file of stma ({error})", "give one written by stma train"
        ) from error
    broken = next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)
    if broken is not None:
        raise WeightsError(
            f"{path} holds weights that are not finite numbers ({broken}): a training run that went wrong wrote it",
            "give weights of an earlier checkpoint",
        )
    try:
        model = STMA(config)
        missing, unexpected = model.load_state_dict(tensors, strict=False)
    except (RuntimeError, TypeError, IndexError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()  # of many weights of another shape, one
        raise WeightsError(
            f"{path} does not fit the network that it describes ({reason})", "give one written by stma train"
        ) from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise WeightsError(
            f"{path} belongs to another version of the network (missing {missing[:3]}, unknown {unexpected[:3]})",
            "use weights of this version",
        )
    return LoadedModel(model.eval(), info)
