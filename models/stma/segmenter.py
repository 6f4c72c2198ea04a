"""`Segmenter`: the one step that drives everything. It knows arrays and tensors, no files and no terminal."""

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stma.annotation import CheckedMask, imposed_masks
from stma.config import SegmenterConfig
from stma.device import resolve_device, resolve_precision
from stma.errors import MaskError, VideoError
from stma.estimate import ClipShape, Machine, MemoryEstimate, estimate_memory
from stma.frame_step import ChunkInputs, FrameInputs, FrameResult, ModelSteps, Seen
from stma.given import (
    GivenMask,
    checked_annotations,
    checked_size,
    require_positions,
    require_same_settings,
)
from stma.memory import MemoryBank
from stma.network.embedding import Features
from stma.network.entries import MemoryEntry
from stma.network.model import STMA, TestFrame
from stma.network.stml import BlockCache
from stma.prediction import (
    Outcome,
    Pictures,
    Prediction,
    arrived,
    label_maps,
    nothing_found,
    to_device,
    to_host,
)
from stma.regional import Before, RegionalSteps
from stma.resize import model_size
from stma.scene import Scene
from stma.step_graphs import cuda_recorder


class Segmenter:
    """Follows annotated objects through a video, frame by frame, with memory constant in its length."""

    def __init__(self, model: STMA, config: SegmenterConfig | None = None) -> None:
        """Prepare a run; the model given is copied, not changed.

        Args:
            model: a trained network.
            config: working size, device, precision, memory policy.

        Raises:
            DeviceError: the device asked for is absent.
            SettingsError: impossible settings.
        """
        self.config = config or SegmenterConfig()
        self.device = resolve_device(self.config.device)
        self.precision = resolve_precision(self.config.precision, self.device)
        self._untaught = model if self.config.adapt else None  # a rewound run goes back to it
        self._learned = False
        self.bank = MemoryBank(self.config.memory)
        self._scene = Scene()
        self._use(model)
        self.object_ids: tuple[int, ...] = ()
        self.frame_index = 0
        self.frame_size: tuple[int, int] | None = None
        self._references: tuple[int, BlockCache] | None = None

    def _use(self, model: STMA) -> None:
        """Follow objects with a copy of this network from now on."""
        copied = copy.deepcopy(model).eval().requires_grad_(False)
        copied.prepare(self.device, self.precision)
        self.model = copied
        focus = self.config.focus and self.device.type == "cpu"  # a GPU would wait for the boxes
        record = cuda_recorder(self.device) if self.config.graphs and self.device.type == "cuda" else None
        self._steps = ModelSteps(self.model, focus, self.config.memory, record)
        self._regional = RegionalSteps(self._steps, self.bank) if focus else None

    def step(
        self, frame: np.ndarray, mask: np.ndarray | None = None, object_ids: Sequence[int] | None = None
    ) -> Prediction:
        """Advance one frame.

        Args:
            frame: (H, W, 3) uint8 RGB, display orientation; all frames of a run have one size.
            mask: (H, W) integer object ids of this frame, 0 = not annotated here. It may name new objects or
                correct old ones; objects that it does not name keep their predicted pixels outside of it.
                Pixels of `LEAVE` keep their prediction. A mask with such pixels speaks of all objects, so that
                its zeros are background for each of them.
            object_ids: ids that the mask annotates, when it should also say "this object is not visible": different
                ones of 1 to 65535 (`LARGEST_ID`), as in the mask. By default the ids that occur in it, or all
                objects where `LEAVE` occurs. Without `mask` they are ignored.

        Returns:
            Where all objects so far are on this frame.

        Raises:
            VideoError: the frame has another size or type than expected; nothing has changed then.
            MaskError: the mask does not fit the frame, or `object_ids` are no such ids; nothing has changed then.
        """
        masks = {} if mask is None else {0: GivenMask.of(mask, object_ids, self.frame_index)}
        return self._advance([frame], masks)[0]

    def steps(
        self, frames: Sequence[np.ndarray], masks: Mapping[int, np.ndarray] | None = None
    ) -> list[Prediction]:
        """Advance a chunk of frames in order; the embedding sees them as one batch, on a CPU with focus one by one.

        Args:
            frames: (H, W, 3) uint8 RGB each.
            masks: annotations by position in `frames`; see `step`.

        Returns:
            A prediction for each frame, in their order.

        Raises:
            VideoError: a frame has another size or type than expected; nothing has changed then.
            MaskError: as in `step`, and where a mask belongs to none of the frames; nothing has changed then.
        """
        masks = masks or {}
        require_positions(masks, len(frames))
        given = {
            position: GivenMask.of(mask, None, self.frame_index + position)
            for position, mask in masks.items()
        }
        return self._advance(frames, given)

    @torch.inference_mode()
    def remove(self, object_ids: Sequence[int]) -> None:
        """Forget objects: from the next frame on they are followed no longer, and cost nothing.

        A later mask may name them again, as new objects. Recorded steps on a GPU keep their memory until others take
        their place, and a network that has learned from their mask stays as it is.

        Args:
            object_ids: of objects that are followed.

        Raises:
            MaskError: one of them is not followed; nothing has changed then.
        """
        ids = tuple(object_ids)
        for object_id in ids:
            if object_id not in self.object_ids:
                followed = ", ".join(map(str, self.object_ids)) or "none"
                raise MaskError(f"object {object_id} is not followed", f"remove what is: {followed}")
        self.bank.remove_objects([self.object_ids.index(object_id) for object_id in ids])
        self.object_ids = tuple(object_id for object_id in self.object_ids if object_id not in ids)
        if self._regional:
            self._regional.before = None  # it stands for all objects
        if self.bank.empty:
            self._scene = Scene()  # in whose light they were marked

    @torch.inference_mode()
    def _advance(self, frames: Sequence[np.ndarray], masks: Mapping[int, GivenMask]) -> list[Prediction]:
        if len(frames) == 0:
            return []
        size = checked_size(frames, self.frame_size, self.frame_index)
        annotations = checked_annotations(masks, self.frame_index, size, self.object_ids)
        self.frame_size = size
        self._adapt(frames, annotations)
        marked = {position for position, said in annotations.items() if said.object_ids}
        changes = self._scene.changes(frames, marked, known=not self.bank.empty)
        pictures = [
            Pictures.of(change.undone(frame), self.working_size, self.device)
            for frame, change in zip(frames, changes, strict=True)
        ]
        known = not self.bank.empty or bool(marked)
        chunk = self._embedded(pictures) if known and self._regional is None else None
        outcomes = []
        for position in range(len(frames)):
            seen = None if chunk is None else chunk[position]
            cut = changes[position].cut
            if cut and self._regional:
                self._regional.before = None  # nothing stands for what is not looked at
            outcomes.append(self._associate(pictures[position], seen, annotations.get(position), cut))
            self.frame_index += 1
        arrived(self.device)
        return [outcome.prediction() for outcome in outcomes]

    def _adapt(self, frames: Sequence[np.ndarray], annotations: Mapping[int, CheckedMask]) -> None:
        """Learn from the first annotation that shows an object, if the settings ask for it."""
        if self._untaught is None or self._learned:
            return
        from stma.adaptation import adapted  # training comes with it, which few runs need

        for position, said in annotations.items():
            if (said.labels > 0).any():
                learned = adapted(
                    self._untaught,
                    frames[position],
                    said.labels,
                    self.config.adapt,
                    self.config.size,
                    self.device,
                    self.precision.dtype,
                )
                self._use(learned)
                self._learned = True
                return

    @property
    def working_size(self) -> tuple[int, int]:
        """(height, width) that the model works at, see `model_size`.

        Raises:
            VideoError: no frame was given yet.
        """
        return model_size(*self._frame_size(), self.config.size)

    def estimate(
        self,
        objects: int,
        annotated_frames: int = 1,
        frames_held: int | None = None,
        frame_size: tuple[int, int] | None = None,
    ) -> MemoryEstimate:
        """What this run needs at its peak; arguments as of `ClipShape`, but for `frame_size`, which is by default
        that of the frames so far; errors as of `working_size`."""
        frame_size = frame_size or self._frame_size()
        size = model_size(*frame_size, self.config.size)
        clip = ClipShape(size, objects, annotated_frames, frame_size, frames_held)
        machine = Machine(self.precision.dtype, self.precision.int8, self.device.type)
        return estimate_memory(self.model.config, self.config, clip, machine)

    def _embedded(self, pictures: Sequence[Pictures]) -> list[Seen]:
        """The whole of each frame."""
        guided = self.config.refine_edges and self.device.type != "cpu"
        together = to_device([picture.given for picture in pictures], self.device)
        inputs = ChunkInputs(together, self.working_size, guided)
        chunk = self._steps.embed(inputs)
        return [chunk.seen(position, inputs.frames) for position in range(len(pictures))]

    def _predicted(self, pictures: Pictures, seen: Seen | None, cut: bool) -> FrameResult:
        if self._regional is None:
            assert seen is not None  # of the chunk
            return self._steps.predict(self._inputs(seen, cut))
        return self._regional.predict(pictures.given, self.frame_index, partial(self._inputs, cut=cut))

    def _associate(
        self, pictures: Pictures, seen: Seen | None, said: CheckedMask | None, cut: bool
    ) -> Outcome:
        """Go on to a frame; `cut` says whether a new scene begins with it."""
        if said is None or not said.object_ids:
            if self.bank.empty:
                return self._outcome(pictures, *self._nothing_found(), said)
            result = self._predicted(pictures, seen, cut)
            if result.entry is not None:
                self.bank.write_predicted(result.entry, self.frame_index)
            return self._outcome(pictures, result.maps, result.masks, result.expected, None)
        seen = seen or self._embedded([pictures])[0]
        if self._regional:
            self._regional.before = None  # the next frame has nothing to stand for what it does not look at
        test = None
        if self.bank.empty:
            maps, masks, expected = self._nothing_found()
        else:
            followed = self._steps.follow(self._inputs(seen, cut))
            test, masks, expected = followed.test, followed.masks, followed.expected
            maps = label_maps(followed.logits[0], *self._frame_size(), seen.pictures)
        known = self.object_ids + tuple(i for i in said.object_ids if i not in self.object_ids)
        masks = imposed_masks(masks, said, known, self.working_size)
        entry = self._annotated_entry(seen.features, test, masks)
        # Together and last: a step that is interrupted before has announced no object that nothing is known of.
        self.bank.add_objects(len(known) - len(self.object_ids), self.frame_index)
        self.bank.write(entry, self.frame_index, permanent=True)
        self.object_ids = known
        return self._outcome(pictures, maps, masks, expected, said)

    def _nothing_found(self) -> tuple[Tensor, Tensor, Tensor]:
        return nothing_found(self._frame_size(), self.working_size, self.device)

    def _inputs(self, seen: Seen, cut: bool) -> FrameInputs:
        region = None if seen.part is None else seen.part.region
        return FrameInputs(
            seen=seen,
            references=self._reference_cache(),
            views=tuple(self.bank.view(group, region, cut) for group in self.bank.groups),
            frame_size=self._frame_size(),
            remembers=self.bank.due(self.frame_index),
            after_cut=cut,
        )

    def _frame_size(self) -> tuple[int, int]:
        if self.frame_size is None:
            raise VideoError("the size of the frames is not known yet", "give a frame to step first")
        return self.frame_size

    def _reference_cache(self) -> BlockCache:
        if self._references is None or self._references[0] != self.bank.version:
            self._references = (self.bank.version, self._steps.encode_references(*self.bank.references()))
        return self._references[1]

    def _annotated_entry(self, features: Features, test: TestFrame | None, masks: Tensor) -> MemoryEntry:
        if test is None:
            valid = torch.ones(1, masks.shape[1], dtype=torch.bool, device=self.device)
            return self.model.remember_first(features, masks, valid)
        return self.model.remember(test, masks, None)  # an annotation needs no second opinion

    def _outcome(
        self,
        pictures: Pictures,
        maps: Tensor,
        masks: Tensor,
        expected: Tensor,
        annotation: CheckedMask | None,
    ) -> Outcome:
        followed = maps.ndim == 3 and len(maps) > 1  # on a CPU, where outlines still have to follow the frame
        return Outcome(
            frame_index=self.frame_index,
            frame_size=self._frame_size(),
            object_ids=self.object_ids,
            maps=to_host(maps),
            soft=to_host(masks[0]),
            expected=to_host(expected),
            annotation=annotation,
            guide=pictures.guide if self.config.refine_edges and followed else None,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here: plain values and tensors that `torch.save` takes."""
        before = self._regional.before if self._regional else None
        return {
            "bank": self.bank.state_dict(),
            "object_ids": list(self.object_ids),
            "frame_index": self.frame_index,
            "frame_size": self.frame_size,
            "settings": self._settings(None if self.bank.empty else self.frame_size),
            "before": before.state_dict() if before else None,
            "scene": self._scene.state_dict(),
            "weights": self.model.state_dict() if self._learned else None,
        }

    def _settings(self, frame_size: tuple[int, int] | None) -> dict[str, Any]:
        """What a state depends on besides the model; one that remembers nothing is of no size."""
        size = None if frame_size is None else model_size(*frame_size, self.config.size)
        return {"working size": size, "precision": self.precision.arithmetic, "adapt": self.config.adapt}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken, whatever was done since; model and configuration have to be the same.

        Raises:
            SettingsError: the state was taken at another working size or precision, or with other adaptation; in int8
                also on a CPU with another arithmetic for it.
        """
        frame_size = None if state["frame_size"] is None else (state["frame_size"][0], state["frame_size"][1])
        remembers = state["settings"]["working size"] is not None
        require_same_settings(state["settings"], self._settings(frame_size if remembers else None))
        self.bank.load_state_dict(state["bank"], self.device)
        self.object_ids = tuple(state["object_ids"])
        self.frame_index = state["frame_index"]
        self.frame_size = frame_size
        if self._untaught is not None:
            self._use(self._untaught)  # a new copy: earlier states share the tensors of the one before
            self._learned = state["weights"] is not None
            if self._learned:
                self.model.load_state_dict(state["weights"])
        if self._regional:
            before = state["before"]
            self._regional.before = None if before is None else Before.from_state(before, self.device)
        self._scene.load_state_dict(state["scene"])
        self._references = None
