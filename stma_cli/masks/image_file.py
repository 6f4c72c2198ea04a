"""Opens mask pictures, and refuses by name what cannot be a mask: photographs, animations, giants."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from stma.errors import MaskError
from stma_cli.masks.convertible import convert_first, not_as_it_is
from stma_cli.wording import may_not_be_read

LARGEST_PICTURE = 100_000_000  # pixels; three times an 8K frame
LOSSLESS_FORMATS = ("PNG", "BMP", "TIFF", "WEBP", "GIF")
SAVE_AS_PNG = "save the mask as PNG (indexed, grey or RGB)"


@dataclass(frozen=True)
class MaskPicture:
    """The pixels of a mask picture.

    Attributes:
        kind: "index" (palette indices), "bits" (1-bit), "grey" (8-bit), "wide" (16-bit grey) or "colour".
        pixels: (H, W) uint8 or int32, or (H, W, 4) uint8 RGBA for "colour".
        palette: (N, 3) uint8 RGB of an "index" picture, else None.
    """

    kind: str
    pixels: np.ndarray
    palette: np.ndarray | None = None


def read_picture(path: Path) -> MaskPicture:
    """Read a mask picture without changing any value.

    Raises:
        MaskError: when the file is missing, a folder, damaged, animated, too large, a JPEG or no picture.
    """
    if path.is_dir():
        raise MaskError(
            f"{path} is a folder and not one mask",
            "give a file in it, or where its masks are named after their frames, the folder without a number or name "
            "before it",
        )
    if not path.is_file():
        raise MaskError(f"there is no mask file {path}", "check the path given with --mask")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                _require_usable(image, path)
                image.load()
                return _pixels_of(image, path)
    except UnidentifiedImageError as error:
        unknown = "is not a picture that can be read", convert_first(path) or SAVE_AS_PNG
        what, fix = not_as_it_is(path) or unknown
        raise MaskError(f"{path} {what}", fix) from error
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except MaskError:
        raise
    except PermissionError as error:
        raise MaskError(*may_not_be_read(path, error)) from error
    except Exception as error:  # decoders of damaged files raise anything, from SyntaxError to TypeError
        raise MaskError(f"{path} is damaged and cannot be read ({error})", SAVE_AS_PNG) from error


def is_label_picture(path: Path) -> bool:
    """Whether the head of a file is that of an indexed or grey PNG."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return image.mode in ("P", "1", "L") or image.mode.startswith("I")
    except Exception:  # see `read_picture`
        return False


def is_whole_png(path: Path) -> bool:
    """Whether a file is there and a PNG in which every checksum is right; its pixels are not decoded."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.verify()
    except Exception:  # as in `read_picture`
        return False
    return True


def _require_usable(image: Image.Image, path: Path) -> None:
    require_size(image.width, image.height, path)
    if getattr(image, "n_frames", 1) > 1:
        raise MaskError(
            f"{path} is animated or has several pages",
            "save the one picture that belongs to the frame as PNG",
        )
    if image.format not in LOSSLESS_FORMATS:
        raise MaskError(
            f"{path} is a {image.format} file, which does not keep exact colours or is not supported",
            SAVE_AS_PNG,
        )


def require_size(width: int, height: int, source: Path | str) -> None:
    """Refuse a mask of more pixels than fit into memory, before they are made.

    Raises:
        MaskError: naming `source`.
    """
    if width * height > LARGEST_PICTURE:
        raise _too_large(source)


def _too_large(source: Path | str) -> MaskError:
    return MaskError(
        f"{source} has more than {LARGEST_PICTURE // 1_000_000} million pixels",
        "save the mask with the width and height of the video",
    )


def _pixels_of(image: Image.Image, path: Path) -> MaskPicture:
    if image.mode == "P":
        palette = np.asarray(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
        return MaskPicture("index", np.asarray(image), palette)
    if image.mode == "1":
        return MaskPicture("bits", np.asarray(image).astype(np.uint8))
    if image.mode == "L":
        return MaskPicture("grey", np.asarray(image))
    if image.mode.startswith("I"):
        return MaskPicture("wide", np.asarray(image).astype(np.int32))
    if image.mode in ("RGB", "RGBA", "LA", "PA"):
        return MaskPicture("colour", np.asarray(image.convert("RGBA")))
    raise MaskError(f"{path} stores its pixels as {image.mode}, which a mask does not", SAVE_AS_PNG)
