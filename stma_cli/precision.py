"""The number formats of the model, for --help without torch."""

from enum import StrEnum


class PrecisionName(StrEnum):
    """Number format of the model."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"
