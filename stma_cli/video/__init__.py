"""Videos in and out: files and folders of images as streams of RGB frames, H.264 files as results."""

from stma_cli.video.opening import open_video
from stma_cli.video.source import Frame, VideoInfo, VideoSource
from stma_cli.video.writer import VideoWriter

__all__ = ["Frame", "VideoInfo", "VideoSource", "VideoWriter", "open_video"]
