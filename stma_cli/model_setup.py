"""From the options --model, --device, --precision, --size and --chunk to a segmenter that is ready."""

from dataclasses import dataclass
from typing import Any

from stma_cli.pipeline import SegmenterLike
from stma_cli.segment_settings import SegmentSettings

PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


@dataclass(frozen=True)
class ModelSetup:
    """A segmenter, and what to say about it.

    Attributes:
        segmenter: ready for the first frame.
        name: of the model.
        device: as torch names it, such as "cuda".
        precision: "fp32", "bf16" or "fp16".
        size: shorter side in pixels that the model works at, None for the video's own.
        description: the model's name, sha256 of the weights and parameters, for the report.
    """

    segmenter: SegmenterLike
    name: str
    device: str
    precision: str
    size: int | None
    description: dict[str, Any]

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) in pixels at which frames of this size are processed."""
        from stma.resize import working_size

        return working_size(height, width, self.size)


def set_up_model(settings: SegmentSettings) -> ModelSetup:
    """Choose the device, load the weights and make the segmenter.

    Raises:
        SettingsError: when an option has an impossible value.
        DeviceError: when the device is missing.
        WeightsError: when the weights are missing or damaged.
    """
    from stma.config import SegmenterConfig
    from stma.device import resolve_device, resolve_precision
    from stma.segmenter import Segmenter
    from stma.weights import load_model

    size = settings.size or None
    config = SegmenterConfig(
        size=size, chunk=settings.chunk, device=settings.device, precision=settings.precision
    )
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    loaded = load_model(settings.model, device=str(device))
    description = {
        "name": loaded.info.name,
        "sha256": loaded.info.sha256,
        "parameters": loaded.info.parameters,
    }
    precision_name = str(precision).removeprefix("torch.")
    return ModelSetup(
        Segmenter(loaded.model, config),
        loaded.info.name,
        str(device),
        PRECISIONS.get(precision_name, precision_name),
        size,
        description | {"device": str(device), "precision": PRECISIONS.get(precision_name, precision_name)},
    )
