"""The kinds of video file that are written: codec, pixels, sound and the limits of the container."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

_OPUS = frozenset({"opus", "libopus"})
_MP4_AND_MOV_SOUND = frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "alac"})
_PCM_SOUND = frozenset({"pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_s24be", "pcm_f32le"})


@dataclass(frozen=True)
class SoundRules:
    """What becomes of the sound.

    Attributes:
        kind: the container, as users call it.
        copied: names of the codecs that both the container and common players take as they are.
        encoder: what anything else becomes.
        rates: samples per second that the encoder takes; others become 48000.
        lead_in: seconds of packets kept before a cut, which decoders need to settle; not played. 0 where the
            container has no times before 0.
    """

    kind: str
    copied: frozenset[str]
    encoder: str = "aac"
    rates: frozenset[int] = frozenset(
        {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}
    )
    lead_in: Fraction = Fraction(8, 100)


# by FFmpeg's name of the container
SOUND = {
    "mp4": SoundRules("MP4", _MP4_AND_MOV_SOUND | _OPUS | {"flac"}),
    "mov": SoundRules("MOV", _MP4_AND_MOV_SOUND | _PCM_SOUND),
    "webm": SoundRules(
        "WebM", _OPUS | {"vorbis", "libvorbis"}, "libopus", frozenset({48000}), lead_in=Fraction(0)
    ),
}


@dataclass(frozen=True)
class Encoding:
    """A kind of video file.

    Attributes:
        name: as users call it.
        encoder: of FFmpeg.
        pixel_format: what the encoder gets, 4:2:0 or 4:4:4, with or without alpha, limited range.
        options: of the encoder.
        containers: FFmpeg's format by the ending of the file.
        even: whether rows and columns must be even.
        unit: the container's own unit of time, to which times are rounded; None where it takes any.
    """

    name: str
    encoder: str
    pixel_format: str
    containers: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    even: bool = False
    unit: Fraction | None = None


H264 = Encoding(
    name="H.264",
    encoder="libx264",
    pixel_format="yuv420p",
    containers={".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"},
    options={"crf": "18", "preset": "veryfast"},  # 18 is visually lossless, 23 would be half the size
    even=True,
)

PRORES_4444 = Encoding(
    name="ProRes 4444",
    encoder="prores_ks",
    pixel_format="yuva444p10le",
    containers={".mov": "mov"},
    options={"profile": "4444", "alpha_bits": "16", "vendor": "apl0"},  # Final Cut looks for this vendor
)

_WEBM = {".webm": "webm"}
_VP9_OPTIONS = {
    "crf": "24",  # about as good as H.264 at 18
    "b": "0",  # by quality alone
    "deadline": "good",
    "cpu-used": "4",  # several times faster than 1 for a few per cent in size
    "row-mt": "1",
}
_MILLISECOND = Fraction(1, 1000)

VP9 = Encoding(
    name="VP9",
    encoder="libvpx-vp9",
    pixel_format="yuv420p",
    containers=_WEBM,
    options=_VP9_OPTIONS,
    unit=_MILLISECOND,
)

VP9_ALPHA = Encoding(
    name="VP9 with alpha",
    encoder="libvpx-vp9",
    pixel_format="yuva420p",
    containers=_WEBM,
    options=_VP9_OPTIONS | {"auto-alt-ref": "0"},  # hidden frames have no alpha
    unit=_MILLISECOND,
)
