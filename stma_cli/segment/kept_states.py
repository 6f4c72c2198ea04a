"""Memory states that stay beside the masks of a finished run, so that a correction need not begin at frame 0."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from stma.errors import SettingsError
from stma.saving import writing
from stma_cli.result_layout import STATES_FOLDER
from stma_cli.segment.checkpoint import Checkpoint, read_checkpoint


class KeptStates:
    """A few checkpoints of one run, spread over the video; each file is named after the frame that comes next."""

    def __init__(self, out: Path, most: int) -> None:
        """Prepare to keep states; touches no file yet.

        Args:
            out: the folder of the masks.
            most: how many states to keep; with more, those that lie closest together give way.
        """
        self._folder = out / STATES_FOLDER
        self._most = most

    def keep(self, checkpoint: Path, next_frame: int) -> None:
        """Keep the checkpoint that was just written to a file, without writing it again where links are known.

        Raises:
            OutputError: when it cannot be written.
        """
        if self._most == 0:
            return
        target = self._folder / f"{next_frame:08d}"
        with writing(target):
            self._folder.mkdir(exist_ok=True)
            target.unlink(missing_ok=True)
            try:
                os.link(checkpoint, target)
            except OSError:
                shutil.copyfile(checkpoint, target)
            self._thin()

    def newest_until(self, frame: int) -> Checkpoint | None:
        """Return the latest usable state that has seen no frame from `frame` on, or None."""
        for kept, path in sorted(self._states(), reverse=True):
            if kept <= frame:
                with suppress(SettingsError):  # damaged: an earlier one does as well, only later
                    return read_checkpoint(path)
        return None

    def drop_from(self, frame: int) -> None:
        """Remove the states that have seen the frame `frame`, and the folder once it is empty."""
        for kept, path in list(self._states()):
            if kept > frame:
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()

    def _states(self) -> Iterator[tuple[int, Path]]:
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name.isdecimal():
                    yield int(path.name), path

    def _thin(self) -> None:
        states = sorted(self._states())
        while len(states) > self._most:
            frames = [0, *(frame for frame, _ in states)]
            gaps = [after - before for before, after in zip(frames, frames[2:], strict=False)]
            _, path = states.pop(gaps.index(min(gaps)) if gaps else 0)
            path.unlink(missing_ok=True)
