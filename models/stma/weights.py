"""Weights that ship with the package: float16 safetensors with a model card beside each."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from stma.config import ModelConfig
from stma.errors import WeightsError
from stma.network.model import STMA

FOLDER = Path(__file__).parent / "shipped"


@dataclass(frozen=True)
class ModelInfo:
    """A weights file: its name, place, sha256 of the file, number of parameters and model card (or None)."""

    name: str
    path: Path
    sha256: str
    parameters: int
    card: Path | None


@dataclass(frozen=True)
class LoadedModel:
    """A network with its weights, float32 on the CPU, in evaluation mode, and where they came from."""

    model: STMA
    info: ModelInfo


def save_weights(model: STMA, path: Path) -> str:
    """Write weights as float16 safetensors with the configuration inside and `<path>.sha256` beside; return the sum."""
    tensors = {
        name: tensor.detach().half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"config": json.dumps(asdict(model.config))})
    checksum = _sha256(temporary)
    temporary.chmod(0o644)  # safetensors creates files that only their owner may read
    os.replace(temporary, path)
    _checksum_file(path).write_text(f"{checksum}  {path.name}\n")
    return checksum


def list_models() -> list[ModelInfo]:
    """The models in the package, by name."""
    return [_info(path) for path in sorted(FOLDER.glob("*.safetensors"))]


def load_model(name_or_path: str = "small") -> LoadedModel:
    """Load a shipped model by name, or any weights file written by `stma train`.

    Raises:
        WeightsError: missing, damaged, with a wrong checksum, or of another architecture.
    """
    path = FOLDER / f"{name_or_path}.safetensors"
    if not path.is_file():
        path = Path(name_or_path)
    if not path.is_file():
        names = ", ".join(p.stem for p in sorted(FOLDER.glob("*.safetensors"))) or "none"
        raise WeightsError(
            f"no model is named {name_or_path!r} and no such file exists; shipped models: {names}. "
            "Use one of them, or give the path of a .safetensors file"
        )
    info = _info(path)
    expected = _checksum_file(path)
    if expected.is_file() and expected.read_text().split()[:1] != [info.sha256]:
        raise WeightsError(
            f"{path} does not match its checksum in {expected.name}: it is damaged or was changed; "
            "restore the file, or install stma again if it came with it"
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        raw = json.loads(metadata["config"])
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        config = ModelConfig(**values)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path} is not a weights file of stma ({error}); give one written by stma train"
        ) from error
    model = STMA(config)
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise WeightsError(
            f"{path} belongs to another version of the network (missing {missing[:3]}, unknown {unexpected[:3]}); "
            "use weights of this version"
        )
    return LoadedModel(model.eval(), info)


def _info(path: Path) -> ModelInfo:
    try:
        with safe_open(path, framework="pt") as file:
            sizes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is not a readable safetensors file ({error}); restore it, or install stma again if it came with it"
        ) from error
    parameters = sum(_product(shape) for shape in sizes)
    card = path.with_suffix(".md")
    return ModelInfo(path.stem, path, _sha256(path), parameters, card if card.is_file() else None)


def _product(shape: list[int]) -> int:
    result = 1
    for side in shape:
        result *= side
    return result


def _checksum_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
