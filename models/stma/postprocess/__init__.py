"""Optional cleaning of label maps between the model and whatever takes them; all of it is off by default.

    smooth over time -> remove specks -> fill holes -> keep the largest part -> grow or shrink

The steps follow each other in this order. They change what is handed out and never what the model remembers.
"""

from stma.postprocess.chain import clean_labels, postprocessed
from stma.postprocess.config import PostprocessConfig

__all__ = ["PostprocessConfig", "clean_labels", "postprocessed"]
