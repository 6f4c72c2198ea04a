"""The sound of a video, passed on to its copy packet by packet, shifted and cut to the frames kept."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from stma.errors import VideoError
from stma_cli.video.encodings import SoundRules
from stma_cli.video.pyav import exact, open_input

AudioPacket: TypeAlias = "Packet[AudioStream]"

_USUAL_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # by channels; AVI and WAV may not tell


class SoundTrack:
    """The first sound track of a source, on its way into an output container.

    Only one packet is held at a time. Call `begin` once, then `write_until` with growing limits.

    Attributes:
        start_time: where the sound starts on the clock of the source, seconds.
        note: what the user should know, or None.
    """

    def __init__(self, path: Path, output: OutputContainer, rules: SoundRules) -> None:
        """Open the source a second time, for its sound, and add a track to `output`."""
        self._rules = rules
        self._path = path
        self._output = output
        try:
            self._source = open_input(path)
        except FFmpegError as error:
            raise self._unreadable(error) from error
        tracks = [track for track in self._source.streams.audio if track.codec_context is not None]
        self._track: AudioStream = tracks[0]
        self._unit = exact(self._track.time_base) or Fraction(1, self._track.codec_context.sample_rate)
        self.start_time = (self._track.start_time or 0) * self._unit
        self._copies = self._track.codec_context.name in rules.copied
        self.note = f"of {len(tracks)} sound tracks the first is kept" if len(tracks) > 1 else None
        self._target = self._add_track()
        self._packets = self._source.demux(self._track)
        self._waiting: AudioPacket | None = None
        self._shift = 0  # ticks
        self._last_decoding_time: int | None = None

    def begin(self, origin: Fraction) -> None:
        """Set the time on the source's clock that is time 0 of the output."""
        self._shift = round(origin / self._unit)

    def write_until(self, limit: Fraction | None) -> None:
        """Write all packets that start before `limit` seconds of output time; None for all there are.

        Raises:
            VideoError: the sound of the source cannot be read.
            FFmpegError: the output cannot be written.
        """
        for packet in self._until(limit):
            if self._copies:
                self._copy(packet)
            else:
                self._convert(packet)

    def finish(self) -> None:
        """Write what the encoder still holds and close the source."""
        if not self._copies:
            self._output.mux(self._target.encode(None))
        self._source.close()

    def close(self) -> None:
        """Close the source without writing anything more."""
        self._source.close()

    def _add_track(self) -> AudioStream:
        if self._copies:
            return self._output.add_stream_from_template(self._track)
        return self._converted_track()

    def _converted_track(self) -> AudioStream:
        context, rules = self._track.codec_context, self._rules
        rate = context.sample_rate if context.sample_rate in rules.rates else 48_000
        target = self._output.add_stream(rules.encoder, rate=rate, time_base=Fraction(1, rate))
        assert isinstance(target, AudioStream)
        target.codec_context.layout = _USUAL_LAYOUTS.get(context.layout.nb_channels, context.layout.name)
        target.codec_context.bit_rate = 96_000 * min(2, context.layout.nb_channels)
        becomes = {"aac": "AAC", "libopus": "Opus"}[rules.encoder]
        conversion = (
            f"the sound ({context.name}) does not fit into {rules.kind} and is converted to {becomes}"
        )
        self.note = f"{conversion}; {self.note}" if self.note else conversion
        return target

    def _until(self, limit: Fraction | None) -> Iterator[AudioPacket]:
        """Yield packets, their times shifted to the output, that start before `limit`."""
        while True:
            packet = self._waiting or self._next_packet()
            self._waiting = None
            if packet is None:
                return
            start = (packet.pts or 0) * self._unit
            if limit is not None and start >= limit:
                self._waiting = packet
                return
            if start + (packet.duration or 0) * self._unit > -self._rules.lead_in:
                yield packet

    def _next_packet(self) -> "AudioPacket | None":
        """Return the next packet with its times shifted, or None at the end."""
        try:
            for packet in self._packets:
                if packet.size == 0:
                    continue
                time = packet.pts if packet.pts is not None else packet.dts
                if time is None:
                    time = self._last_decoding_time or 0
                else:
                    time -= self._shift
                packet.pts = packet.dts = time
                return packet
        except FFmpegError as error:
            raise self._unreadable(error) from error
        return None

    def _copy(self, packet: AudioPacket) -> None:
        if self._last_decoding_time is not None and packet.dts is not None:
            packet.dts = packet.pts = max(packet.dts, self._last_decoding_time + 1)
        self._last_decoding_time = packet.dts
        packet.stream = self._target
        self._output.mux(packet)

    def _convert(self, packet: AudioPacket) -> None:
        try:
            frames = packet.decode()
        except FFmpegError as error:
            raise self._unreadable(error) from error
        for frame in frames:
            if frame.pts is None or frame.pts < 0:
                continue
            frame.time_base = self._unit
            self._output.mux(self._target.encode(frame))

    def _unreadable(self, error: FFmpegError) -> VideoError:
        return VideoError(
            f"the sound of {self._path} cannot be read ({error.strerror})",
            "copy the file again, or leave the sound out with --no-audio",
        )
