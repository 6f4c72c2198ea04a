"""stma: follow the objects marked on one frame through a whole video.

The public names below load on first use, so that `import stma` stays cheap and free of torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stma.config import MemoryConfig, ModelConfig, SegmenterConfig
    from stma.labels import LEAVE
    from stma.network.model import STMA
    from stma.prediction import Prediction
    from stma.process import prepare_process
    from stma.resize import size_for_objects
    from stma.segmenter import Segmenter
    from stma.weights import load_model
    from stma.weights_file import list_models

__version__ = "0.14.0"

_HOME_OF = {
    "LEAVE": "stma.labels",
    "MemoryConfig": "stma.config",
    "ModelConfig": "stma.config",
    "Prediction": "stma.prediction",
    "STMA": "stma.network.model",
    "Segmenter": "stma.segmenter",
    "SegmenterConfig": "stma.config",
    "list_models": "stma.weights_file",
    "load_model": "stma.weights",
    "prepare_process": "stma.process",
    "size_for_objects": "stma.resize",
}

__all__ = [
    "LEAVE",
    "STMA",
    "MemoryConfig",
    "ModelConfig",
    "Prediction",
    "Segmenter",
    "SegmenterConfig",
    "list_models",
    "load_model",
    "prepare_process",
    "size_for_objects",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'stma' has no attribute {name!r}")
