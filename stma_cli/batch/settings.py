"""The settings and the result of `stma batch`."""

from dataclasses import dataclass
from pathlib import Path

from stma.errors import SettingsError
from stma_cli.batch.engine_name import EngineName
from stma_cli.batch.jobs import ClipOutcome, Status
from stma_cli.result_layout import OVERLAY_FILE
from stma_cli.segment.settings import INTERRUPTED, SegmentSettings


@dataclass(frozen=True)
class BatchSettings:
    """The options of `stma batch`.

    Attributes:
        clips: folder with the clips.
        masks: folder of masks, or a manifest.
        out: folder or URL for the results.
        template: options for every clip; its paths, device and threads are replaced.
        engine: where workers run.
        devices: one local worker per entry, or () for all GPUs, else the CPU.
        workers: how many share the CPUs, or Ray actors; None for a number that suits the machine.
        threads: CPU threads of each worker, or None for equal shares of the cores.
        address: of a Ray cluster, or None to start one.
        retries: attempts after the first for a clip whose worker dies.
        overlay: also draw an overlay of each clip.
        force: do everything again, also where other files are in the way.
    """

    clips: Path
    masks: Path
    out: str
    template: SegmentSettings
    engine: EngineName = EngineName.LOCAL
    devices: tuple[str, ...] = ()
    workers: int | None = None
    threads: int | None = None
    address: str | None = None
    retries: int = 2  # a clip that has ended three workers will end a fourth
    overlay: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        """Refuse options of the other engine, and a style that the overlay cannot have.

        Raises:
            SettingsError: naming it.
        """
        if self.engine is EngineName.RAY and self.devices:
            raise SettingsError(
                "--devices is for --engine local", "leave it out, Ray knows the GPUs of its cluster"
            )
        if self.engine is EngineName.LOCAL and self.address is not None:
            raise SettingsError("--address is of a Ray cluster", "add --engine ray")
        if self.overlay and self.template.rendering.transparent:
            raise SettingsError(
                f"--style {self.template.rendering.style} needs transparency, which {OVERLAY_FILE} has not",
                "draw it from the masks with stma overlay, or choose --style green",
            )


@dataclass(frozen=True)
class BatchResult:
    """What became of all clips, in their order.

    Attributes:
        outcomes: one per clip.
        seconds: wall time of the whole batch.
        notes: what the user should know.
        interrupted: Ctrl-C has ended it.
        unwritten: why batch.json could not be written at the end, or "".
    """

    outcomes: tuple[ClipOutcome, ...]
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    interrupted: bool = False
    unwritten: str = ""

    def count(self, status: Status) -> int:
        """Return how many clips have this status."""
        return sum(outcome.status is status for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 when all clips and batch.json are complete, 1 when one is not, `INTERRUPTED` after Ctrl-C."""
        if self.interrupted:
            return INTERRUPTED
        return int(bool(self.unwritten) or self.count(Status.FAILED) + self.count(Status.WAITING) > 0)
