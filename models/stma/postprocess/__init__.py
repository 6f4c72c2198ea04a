"""Optional cleaning of label maps between the model and whatever takes them; all of it is off by default.

    smooth over time -> remove specks -> fill holes -> keep the largest part -> grow or shrink

The steps follow each other in this order. They change what is handed out and never what the model remembers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stma.postprocess.config import PostprocessConfig

if TYPE_CHECKING:
    from stma.postprocess.chain import clean_labels, postprocessed

__all__ = ["PostprocessConfig", "clean_labels", "postprocessed"]


def __getattr__(name: str) -> Any:
    """Load the steps on first use: unlike their settings they need numpy and OpenCV."""
    if name in __all__:
        return getattr(import_module("stma.postprocess.chain"), name)
    raise AttributeError(f"module 'stma.postprocess' has no attribute {name!r}")
