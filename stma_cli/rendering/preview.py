"""Short previews for pages and messages: animated GIF or WebP, smaller, slower and without sound."""

from contextlib import suppress
from fractions import Fraction
from math import floor
from pathlib import Path

import av
import cv2
import numpy as np
from av.error import BlockingIOError as NotReadyError

from stma.errors import OutputError
from stma.resize import fitted_size, resize_frame
from stma_cli.video import Frame, VideoInfo
from stma_cli.video.unfinished import UnfinishedVideo, removed_on_error

_LONGEST_SIDE = 480  # pixels; a GIF of more is tens of megabytes
_INTERVAL = Fraction(2, 25)  # seconds between frames at least; browsers slow down GIFs that go much faster
_GIF_UNIT = Fraction(1, 100)  # the format's own
_WEBP_UNIT = Fraction(1, 1000)  # the format's own
_OPAQUE_FROM = 128  # GIF has no half transparency: from here on a pixel is shown
_VP8X_FLAGS = 20  # place of the flags in an animated WebP file
_ALPHA_FLAG = 0x10
_PALETTE = "stats_mode=single:reserve_transparent=1"  # 255 colours of its own for every frame
_DITHER = f"new=1:dither=bayer:bayer_scale=4:alpha_threshold={_OPAQUE_FROM}"


class PreviewWriter:
    """Writes an animation of some of the frames with the times of the source, rounded to the format's unit.

    Attributes:
        notes: what was left out, after `close`.
        frame_count: frames taken, also those that the preview leaves out.
    """

    def __init__(self, path: Path, info: VideoInfo, transparent: bool) -> None:
        """Open the output.

        Args:
            path: file to write, .gif or .webp; missing folders are made.
            info: the source.
            transparent: whether the pictures have transparent parts.

        Raises:
            OutputError: the place cannot be written.
        """
        self.path = path
        self.notes: list[str] = []
        self.frame_count = 0
        self._info = info
        self._transparent = transparent
        height, width = fitted_size(info.height, info.width, _LONGEST_SIDE)
        self._size = (width, height)
        self._is_gif = path.suffix.lower() == ".gif"
        self._unit = _GIF_UNIT if self._is_gif else _WEBP_UNIT
        self._file = UnfinishedVideo(path)
        self._first_time: Fraction | None = None
        self._due = Fraction(0)
        self._end = Fraction(0)
        self._waiting: av.VideoFrame | None = None
        self._shown = 0
        with removed_on_error(self.path, self.abort):
            self._container = self._file.open(path.suffix.lower()[1:], {"loop": "0"})
            self._track = self._add_track()
            self._palettes = _palette_graph(self._size, self._unit) if self._is_gif else None

    def write_frame(self, frame: Frame, picture: np.ndarray) -> None:
        """Append a picture, unless it comes too soon after the one before it.

        Args:
            frame: the frame of the source, for its time.
            picture: uint8, (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey.

        Raises:
            OutputError: the file cannot be written; it is removed.
        """
        self.frame_count += 1
        if self._first_time is None:
            self._first_time = frame.time
        time = frame.time - self._first_time
        self._end = time + (frame.duration or 1 / self._info.frame_rate)
        if time < self._due:
            return
        self._due = (floor(time / _INTERVAL) + 1) * _INTERVAL
        with removed_on_error(self.path, self.abort):
            self._show(self._sized(picture), round(time / self._unit))

    def close(self) -> None:
        """Complete the file and give it its name.

        Raises:
            OutputError: nothing was written, or the file cannot be completed; it is removed.
        """
        if not self._file.is_open:
            return
        with removed_on_error(self.path, self.abort):
            if self._waiting is None:
                raise OutputError(f"{self.path} would have no frames", "check the range of frames asked for")
            self._finish_waiting(round(self._end / self._unit))
            self._container.mux(self._track.encode(None))
            self._file.close()
            if self._transparent and not self._is_gif:
                _mark_transparent(self._file.temporary)
            self._file.rename()
        what = f"{self._shown} of {self.frame_count} frames at {self._size[0]}x{self._size[1]}"
        self.notes.append(f"{self.path.name} is a preview: {what}, without sound")

    def abort(self) -> None:
        """Remove the unfinished file."""
        self._waiting = None
        self._file.remove()

    def _add_track(self) -> av.VideoStream:
        width, height = self._size
        track = self._container.add_stream(
            "gif" if self._is_gif else "libwebp_anim",
            rate=1 / _INTERVAL,
            width=width,
            height=height,
            time_base=self._unit,
            options={} if self._is_gif else {"quality": "80"},
        )
        assert isinstance(track, av.VideoStream)
        track.codec_context.pix_fmt = "pal8" if self._is_gif else "bgra"
        return track

    def _sized(self, picture: np.ndarray) -> np.ndarray:
        """Return the picture as (h, w, 4) RGBA at the size of the preview; what is clear lends no colour to edges."""
        width, height = self._size
        if picture.ndim == 2:
            picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
        colours = np.ascontiguousarray(picture[..., :3])
        if picture.shape[2] == 3:
            return cv2.cvtColor(resize_frame(colours, height, width), cv2.COLOR_RGB2RGBA)
        alpha = cv2.cvtColor(picture[..., 3], cv2.COLOR_GRAY2RGB)
        weighted = resize_frame(cv2.multiply(colours, alpha, scale=1 / 255), height, width)
        alpha = resize_frame(alpha, height, width)
        return cv2.merge([cv2.divide(weighted, alpha, scale=255), alpha[..., 0]])

    def _show(self, picture: np.ndarray, ticks: int) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgba")
        if self._waiting is not None:
            ticks = max(ticks, (self._waiting.pts or 0) + 1)
            self._finish_waiting(ticks)
        frame.pts, frame.time_base = ticks, self._unit
        self._waiting = frame
        self._shown += 1

    def _finish_waiting(self, until: int) -> None:
        """Encode the frame before, now that it is known how long it stays."""
        assert self._waiting is not None
        self._waiting.duration = max(1, until - (self._waiting.pts or 0))
        if self._palettes is None:
            self._container.mux(self._track.encode(self._waiting.reformat(format="bgra")))
            return
        self._palettes.push(self._waiting)
        with suppress(NotReadyError):
            while True:
                coloured = self._palettes.pull()
                assert isinstance(coloured, av.VideoFrame)
                for packet in self._track.encode(coloured):
                    packet.duration = coloured.duration  # of the last frame nothing else tells
                    self._container.mux(packet)


def _palette_graph(size: tuple[int, int], unit: Fraction) -> av.filter.Graph:
    """Return the filters that give each frame the 255 colours that suit it best."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=size[0], height=size[1], format=av.VideoFormat("rgba"), time_base=unit)
    split, sink = graph.add("split"), graph.add("buffersink")
    palette, use = graph.add("palettegen", _PALETTE), graph.add("paletteuse", _DITHER)
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph


def _mark_transparent(file: Path) -> None:
    """Set the flag for transparency, which the encoder forgets where all visible parts are rectangles."""
    with file.open("r+b") as content:
        content.seek(_VP8X_FLAGS)
        flags = content.read(1)[0]
        content.seek(_VP8X_FLAGS)
        content.write(bytes([flags | _ALPHA_FLAG]))
