"""Every error that stma raises on purpose; each message says what is wrong and ends with the fix.

StmaError                 exit status 2: the caller can mend it
 ├ InputError             something given to stma cannot be used
 │  ├ VideoError          the video or the folder of frames
 │  ├ MaskError           a mask image or the label map given for a frame
 │  ├ AnnotationError     a JSON file with polygons or run-length masks
 │  │  ├ TooFewPointsError   an outline of fewer than three different points
 │  │  ├ CrossingError       an outline that crosses itself
 │  │  └ OutsideFrameError   an outline that leaves the frame
 │  └ SettingsError       an option, or options that contradict each other
 ├ OutputError            a result cannot be written
 ├ DeviceError            the computing device asked for is missing or lacks what was asked of it
 ├ WeightsError           model weights are missing, damaged or of another model
 └ DataError              a training or evaluation folder is not laid out as documented
"""


class StmaError(Exception):
    """Base of all errors of stma; the message is written for the user."""

    exit_code = 2


class InputError(StmaError):
    """Raised when something given to stma cannot be used."""


class VideoError(InputError):
    """Raised when a video or a folder of frames cannot be read as asked."""


class MaskError(InputError):
    """Raised when a mask cannot be used with this video."""


class AnnotationError(InputError):
    """Raised when a JSON annotation cannot be turned into masks."""


class TooFewPointsError(AnnotationError):
    """Raised when an outline has fewer than three different points."""


class CrossingError(AnnotationError):
    """Raised when an outline crosses itself."""


class OutsideFrameError(AnnotationError):
    """Raised when an outline leaves the frame."""


class SettingsError(InputError):
    """Raised when an option has an impossible value or contradicts another."""


class OutputError(StmaError):
    """Raised when a result cannot be written."""


class DeviceError(StmaError):
    """Raised when the computing device asked for is missing or lacks what was asked of it."""


class WeightsError(StmaError):
    """Raised when model weights are missing, damaged or of another model."""


class DataError(StmaError):
    """Raised when a training or evaluation folder is not laid out as documented."""
