"""What a weights file says of itself, read from its header: needs no torch."""

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from stma.config import ModelConfig
from stma.errors import SettingsError, WeightsError

FOLDER = Path(__file__).parent / "shipped"


@dataclass(frozen=True)
class ModelInfo:
    """A weights file: its name, place, sha256 of the file, number of parameters and model card (or None)."""

    name: str
    path: Path
    sha256: str
    parameters: int
    card: Path | None


def list_models() -> list[ModelInfo]:
    """The models in the package, by name.

    Raises:
        WeightsError: a file among them cannot be read.
    """
    return [model_info(path) for path in sorted(FOLDER.glob("*.safetensors"))]


def find_weights(name_or_path: str) -> Path:
    """The file of a shipped model's name, or the path itself.

    Raises:
        WeightsError: there is neither.
    """
    path = FOLDER / f"{name_or_path}.safetensors"
    if not os.path.isfile(path):  # that of Path raises an error where a name is too long for a file
        path = Path(name_or_path)
    if not os.path.isfile(path):
        names = ", ".join(p.stem for p in sorted(FOLDER.glob("*.safetensors"))) or "none"
        raise WeightsError(
            f"no model is named {name_or_path!r} and no such file exists; shipped models: {names}",
            "use one of them, or give the path of a .safetensors file",
        )
    return path


def model_info(path: Path) -> ModelInfo:
    """Describe one weights file.

    Raises:
        WeightsError: it cannot be read.
    """
    card = path.with_suffix(".md")
    return ModelInfo(path.stem, path, sha256_of(path), stored_numbers(path), card if card.is_file() else None)


def stored_numbers(path: Path) -> int:
    """How many numbers a weights file holds.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        with safe_open(path, framework="np") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is not a readable safetensors file ({error})",
            "restore it, or install stma again if it came with it",
        ) from error


def read_config(path: Path) -> ModelConfig:
    """The shape of the network that the weights belong to.

    Raises:
        WeightsError: the file is none of stma's.
    """
    try:
        with safe_open(path, framework="np") as file:
            raw = json.loads((file.metadata() or {})["config"])
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        return ModelConfig(**values)
    except (
        SafetensorError,
        SettingsError,
        OSError,
        AttributeError,
        LookupError,
        ValueError,
        TypeError,
    ) as error:
        raise WeightsError(
            f"{path} is not a weights file of stma ({error})", "give one written by stma train"
        ) from error


def require_checksum(info: ModelInfo) -> None:
    """Compare a file with the sum beside it, where there is one.

    Raises:
        WeightsError: they differ.
    """
    expected = checksum_file(info.path)
    if expected.is_file() and expected.read_text("utf-8", "replace").split()[:1] != [info.sha256]:
        raise WeightsError(
            f"{info.path} does not match its checksum in {expected.name}: it is damaged or was changed",
            "restore the file, or install stma again if it came with it",
        )


def checksum_file(path: Path) -> Path:
    """Where the sha256 of a weights file is kept."""
    return path.with_name(path.name + ".sha256")


def sha256_of(path: Path) -> str:
    """The sha256 of a file.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror})", "check its permissions") from error
