"""The training loop: resumable, bounded by steps or minutes, validated with the real `Segmenter`."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

from stma.config import ModelConfig
from stma.device import learning_autocast, resolve_device, resolve_precision
from stma.errors import OutputError, SettingsError, StmaError, WeightsError
from stma.evaluation import MEAN
from stma.network.model import STMA
from stma.saving import write_saved, writing
from stma.training.ablation import switch_off
from stma.training.clip import run_clip
from stma.training.clips import ClipDataset
from stma.training.config import TrainConfig
from stma.training.distributed import Group, join_group, local_device
from stma.training.ema import AveragedModel
from stma.training.parameters import (
    feature_parameters,
    fix_statistics,
    freeze,
    freeze_all_but,
    gradient_norms,
    parameter_groups,
    renew,
)
from stma.training.plot import GRADIENTS_LOG, TRAIN_LOG, VALIDATION_LOG, append_row, read_log
from stma.training.pool import TrainingPool, scan_to_train
from stma.training.replay import Replay
from stma.training.schedule import hard_share, learning_rate, progress
from stma.training.scores import ValidationScores
from stma.training.workers import Workers, plain_errors
from stma.weights import load_model, save_weights

ENDLESS = 1 << 30
UNUSABLE_STEPS = 10  # in a row: one clip may overflow, so many are a run that has diverged
GRADIENTS_EVERY = 50  # steps: a module that stops learning shows as a norm of zero
BEST = "best.safetensors"
EARLIER = "earlier-"  # begins the names of what a run without its checkpoint left: its scores are no others' to beat
STOPPED = 2.0  # told to all processes in place of the progress


@dataclass(frozen=True)
class StepReport:
    """What one step tells: losses, training IoU, and where the time went, in seconds."""

    step: int
    done: float
    loss: float
    cross_entropy: float
    dice: float
    labels: float
    regions: float
    coarse: float
    quality: float
    iou: float
    learning_rate: float
    data_seconds: float
    model_seconds: float
    clips_per_second: float


class Trainer:
    """Owns the model, its average, the optimiser and the position in the stream of clips."""

    def __init__(self, data: Path, run: Path, config: TrainConfig) -> None:
        """Prepare a run.

        Args:
            data: training folder, see `stma.training.pool`.
            run: folder of checkpoints and logs; a checkpoint in it is resumed.
            config: how to train.

        Raises:
            DataError: the training folder cannot be used.
            SettingsError: the configuration gives no end, names an unknown model or part of it, or another network than
                the checkpoint holds.
            WeightsError: the checkpoint or the initial weights are damaged or of another model.
            OutputError: the folder of the run cannot be made.
        """
        if config.steps is None and config.minutes is None:
            raise SettingsError("training has no end", "give a number of steps or of minutes")
        shape = config.shape
        if config.fixed_statistics and config.initial_weights is None:
            raise SettingsError(
                "fixed statistics are those of initial weights, and none are given",
                "give some, or leave it out",
            )
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config = config
        self.run = run
        self.pool: TrainingPool = scan_to_train(data)
        self.device = local_device(resolve_device(config.device))
        self.group: Group = join_group(self.device)
        self.precision = resolve_precision("auto", self.device).dtype
        self.model = self._initial_model(shape).to(self.device).train()
        switch_off(self.model, config.without)
        self.average = AveragedModel(self.model, config.ema)
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.model, config),
            lr=config.learning_rate,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self.loss = config.loss
        if config.only:
            freeze_all_but(self.model, config.only)
        elif config.embedding_rate == 0:
            freeze(self.model)
        if config.fixed_statistics:
            fix_statistics(self.model)
        if not any(parameter.requires_grad for parameter in feature_parameters(self.model)):
            self.loss = replace(config.loss, label_weight=0.0, region_weight=0.0)  # nothing learns from them
        self.step = 0
        self.clips_drawn = 0
        self.seconds = 0.0
        self._stopping = False
        self._unusable = 0  # steps in a row
        self._workers = Workers()
        self._fixed = config.fixed_statistics
        with writing(run):
            run.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.is_file():
            self._resume()

    def _initial_model(self, shape: ModelConfig) -> STMA:
        if self.config.initial_weights is None:
            return STMA(shape)
        model = load_model(self.config.initial_weights).model
        if model.config != shape:
            raise WeightsError(
                f"{self.config.initial_weights} is not a {self.config.model} model of that shape",
                "give weights of one, or name another model",
            )
        if self.config.renewed:
            renew(model, STMA(model.config), self.config.renewed)
        return model

    @property
    def checkpoint(self) -> Path:
        return self.run / "checkpoint.pt"

    def train(
        self,
        on_step: Callable[[StepReport], None] = lambda report: None,
        validate: Callable[[STMA, Group], ValidationScores] | None = None,
    ) -> None:
        """Train to the end of the schedule; checkpoints and validates on the way.

        Args:
            on_step: called on the leading process after every step.
            validate: called on every process with the averaged model; its result is logged.

        Raises:
            DataError: no clip can be made of the training folder, or a file of it is damaged.
            OutputError: checkpoint, weights or logs cannot be written.
            SettingsError: the run has diverged.
            StmaError: a process that prepares clips was ended.
        """
        try:
            self._train(on_step, validate)
        except StmaError as error:
            alone = self.group.size == 1  # others would wait for this process in vain, or it for them
            if self.step and alone and not isinstance(error, OutputError):
                self.save()
            raise
        finally:
            self._workers.dismiss()

    def _train(
        self,
        on_step: Callable[[StepReport], None],
        validate: Callable[[STMA, Group], ValidationScores] | None,
    ) -> None:
        config = self.config
        if self.group.leads and not self.checkpoint.is_file():
            self._set_results_aside()
        batches = Replay(plain_errors(self._loader()), config.batch, config.uses, self.device)
        last_checkpoint = last_validation = started = time.monotonic()
        before = self.seconds
        while True:
            self.seconds = before + time.monotonic() - started
            done = self.group.broadcast(
                STOPPED if self._stopping else progress(config, self.step, self.seconds)
            )
            if done >= 1.0:
                break
            report = self._step(batches, done)
            if self.group.leads:
                append_row(self.run / TRAIN_LOG, asdict(report))
                on_step(report)
            now = time.monotonic()
            if self.group.broadcast(now - last_checkpoint) > 60 * config.checkpoint_minutes:
                self.save()
                last_checkpoint = time.monotonic()
            if validate and self.group.broadcast(now - last_validation) > 60 * config.validate_minutes:
                self.save()  # a validation that fails must not take what was learned along
                self._validate(validate)
                last_checkpoint = last_validation = time.monotonic()
        self.save()
        if validate and done != STOPPED:
            self._validate(validate)
        self.group.close()

    def stop(self) -> None:
        """Finish the step under way, save the checkpoint and return from `train`; safe in a signal handler."""
        self._stopping = True

    def _loader(self) -> DataLoader[Any]:
        config = self.config
        dataset = ClipDataset(self.pool, config.data, config.seed, ENDLESS)
        first = self.clips_drawn + self.group.rank
        loader: DataLoader[Any] = DataLoader(
            Subset(dataset, range(first, ENDLESS, self.group.size)),
            batch_size=config.batch // config.uses,
            num_workers=config.workers,
            worker_init_fn=self._workers.begin,
            pin_memory=self.device.type == "cuda",
            prefetch_factor=4 if config.workers else None,
        )
        return loader

    def _step(self, batches: Replay, done: float) -> StepReport:
        config = self.config
        begin = time.monotonic()
        rate = learning_rate(config.learning_rate, config.warm_up, self.step, done)
        for settings in self.optimizer.param_groups:
            settings["lr"] = rate * (config.embedding_rate if settings["features"] else 1.0)
        generator = torch.Generator().manual_seed(
            ((config.seed << 32) + self.step * self.group.size + self.group.rank) % (1 << 63)
        )  # by the step, so that a resumed run goes on alike
        clips, fresh = batches.draw(generator)
        loaded = time.monotonic()
        if not self._fixed and done >= config.statistics_until:
            fix_statistics(self.model)
            self._fixed = True
        with learning_autocast(self.device, self.precision):
            loss = run_clip(self.model, clips, hard_share(config, done), self.loss, generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        self.group.average_gradients(self.model)
        if self.group.leads and self.step % GRADIENTS_EVERY == 0:
            append_row(self.run / GRADIENTS_LOG, {"step": self.step, **gradient_norms(self.model)})
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        self._learn(usable=bool(norm.isfinite()))
        self.step += 1
        self.clips_drawn += fresh * self.group.size
        numbers = loss.numbers()  # waits for the device
        return self._report(numbers, done, rate, loaded - begin, time.monotonic() - loaded)

    def _learn(self, usable: bool) -> None:
        """Take the step, unless one of its gradients is not finite: it would take all that was learned along."""
        if usable:
            self.optimizer.step()
            switch_off(self.model, self.config.without)
            self.average.update(self.model, self.step)
        else:
            self.average.put_back_statistics(self.model)
        self._unusable = 0 if usable else self._unusable + 1
        if self._unusable == UNUSABLE_STEPS:
            raise SettingsError(
                f"the gradients of {UNUSABLE_STEPS} steps in a row are not finite numbers, so the run has diverged",
                "begin another with a lower learning rate",
            )

    def _report(
        self, numbers: dict[str, float], done: float, rate: float, data: float, model: float
    ) -> StepReport:
        return StepReport(
            step=self.step,
            done=round(done, 5),
            loss=round(numbers.pop("total"), 4),
            **{name: round(number, 4) for name, number in numbers.items()},
            learning_rate=rate,
            data_seconds=round(data, 4),
            model_seconds=round(model, 4),
            clips_per_second=round(self.config.batch * self.group.size / (data + model), 3),
        )

    def _validate(self, validate: Callable[[STMA, Group], ValidationScores]) -> None:
        self.group.average_buffers(self.average.model)
        scores = validate(self.average.model, self.group)
        if not self.group.leads:
            return
        log = self.run / VALIDATION_LOG
        best = max((row[MEAN] for row in read_log(log)), default=-1.0)
        row = {"step": self.step, "seconds": round(self.seconds, 1), **scores.plain()}
        append_row(log, row)
        if row[MEAN] > best:
            save_weights(self.average.model, self.run / BEST)

    def save(self) -> None:
        """Write the checkpoint of the leading process; an older one is replaced only when complete.

        Raises:
            OutputError: it cannot be written.
        """
        self.group.average_buffers(self.model)
        if not self.group.leads:
            return
        state = {
            "config": asdict(self.model.config),
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "clips_drawn": self.clips_drawn,
            "seconds": self.seconds,
        }
        write_saved(self.checkpoint, state)
        save_weights(self.average.model, self.run / "last.safetensors")

    def _resume(self) -> None:
        try:
            state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            self._require_same_network(state["config"])
            self.model.load_state_dict(state["model"])
            self.average.model.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, KeyError, TypeError, ValueError, EOFError, UnpicklingError) as error:
            raise WeightsError(
                f"{self.checkpoint} cannot be resumed ({error})",
                "give another folder for the run, or remove the file",
            ) from error
        self.step, self.clips_drawn, self.seconds = state["step"], state["clips_drawn"], state["seconds"]

    def _require_same_network(self, saved: dict[str, Any]) -> None:
        now = asdict(self.model.config)
        changes = [
            f"{name} {saved[name]} -> {value}"
            for name, value in now.items()
            if saved.get(name, value) != value
        ]
        if changes:
            raise SettingsError(
                f"the network of {self.checkpoint} is another ({', '.join(changes)})",
                "give the model and network that the run was begun with, or another folder for the run",
            )

    def _set_results_aside(self) -> None:
        with writing(self.run):
            for name in (TRAIN_LOG, GRADIENTS_LOG, VALIDATION_LOG, BEST, f"{BEST}.sha256"):
                if (self.run / name).is_file():
                    (self.run / name).replace(self.run / f"{EARLIER}{name}")
