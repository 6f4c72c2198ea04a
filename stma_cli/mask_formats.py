"""The formats that `stma convert` knows, without anything heavy, as `--help` needs them too."""

from enum import StrEnum


class Format(StrEnum):
    """A format by its name on the command line."""

    DAVIS = "davis"
    BINARY = "binary"
    COCO = "coco"
    YOUTUBE_VIS = "youtube-vis"
    NPZ = "npz"
    LABELME = "labelme"
    YOLO = "yolo"
    CVAT_IMAGES = "cvat-images"
    CVAT_VIDEO = "cvat-video"

    @property
    def suffix(self) -> str | None:
        """The ending of the format's file; None where it is a folder."""
        return _SUFFIXES.get(self)

    @property
    def has_polygons(self) -> bool:
        """Whether outlines are written and no pixels."""
        return self in (Format.LABELME, Format.YOLO)


_SUFFIXES = {
    Format.COCO: ".json",
    Format.YOUTUBE_VIS: ".json",
    Format.NPZ: ".npz",
    Format.CVAT_IMAGES: ".xml",
    Format.CVAT_VIDEO: ".xml",
}
