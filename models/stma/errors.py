"""Every error that stma raises on purpose; each says what is wrong and how to mend it.

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
    """Base of all errors of stma; its text, "problem; fix", is written for the user.

    Attributes:
        exit_code: the exit status of a command that ends with it.
        problem: what is wrong, without a full stop.
        fix: what to do about it, without a full stop.
    """

    exit_code = 2

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem, fix)  # both, so that an error survives the way between processes
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.problem}; {self.fix}"


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
