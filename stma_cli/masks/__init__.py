"""First masks in, result masks out: PNG and JSON annotations become label maps, label maps become PNG."""

from stma_cli.masks.annotation import Annotation, ObjectIds, note_lines
from stma_cli.masks.coco import WantedPicture
from stma_cli.masks.folder import expand_folders
from stma_cli.masks.image_file import is_whole_png
from stma_cli.masks.label_image import read_labels
from stma_cli.masks.names import read_names, write_names
from stma_cli.masks.options import first_masks, read_mask_options, select_objects
from stma_cli.masks.reader import read_annotation
from stma_cli.masks.writer import MaskWriter

__all__ = [
    "Annotation",
    "MaskWriter",
    "ObjectIds",
    "WantedPicture",
    "expand_folders",
    "first_masks",
    "is_whole_png",
    "note_lines",
    "read_annotation",
    "read_labels",
    "read_mask_options",
    "read_names",
    "select_objects",
    "write_names",
]
