"""What a trainer keeps from step to step and from run to run."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stma.device import Precision
from stma.errors import SettingsError, StmaError
from stma.evaluation import Score
from stma.network.model import STMA
from stma.training import trainer as training
from stma.training.clip_loss import ClipLoss
from stma.training.config import DataConfig, TrainConfig
from stma.training.ema import AveragedModel
from stma.training.plot import TRAIN_LOG, VALIDATION_LOG, read_log
from stma.training.scores import ValidationScores
from stma.training.trainer import BEST, StepReport, Trainer
from stma.weights import load_model


def config(**changes: Any) -> TrainConfig:
    plain = {"steps": 3, "batch": 2, "threads": 1, "workers": 0, "device": "cpu", "warm_up": 1}
    return TrainConfig(
        **{"model": "tiny", "data": DataConfig(crop=64, frames=3, max_objects=2), **plain, **changes}
    )


def scored(score: float) -> ValidationScores:
    """Of one sequence, with J and F alike."""
    return ValidationScores(Score(score, score), {"a": score})


def marked(trainer: Trainer, value: float) -> None:
    """Make the averaged model one that can be told apart."""
    trainer.average.model.label_propagation.unlikeness.fill_(value)


def test_the_best_weights_are_those_of_the_best_score(training_folder: Path, tmp_path: Path) -> None:
    trainer = Trainer(training_folder, tmp_path, config())
    for value, score in ((0.25, 0.5), (0.5, 0.4), (0.75, 0.5)):
        trainer.step += 1
        marked(trainer, value)
        trainer._validate(lambda model, group, score=score: scored(score))  # type: ignore[misc]
        assert float(load_model(str(tmp_path / BEST)).model.label_propagation.unlikeness.detach()) == 0.25
    trainer.step += 1
    marked(trainer, 1.0)
    trainer._validate(lambda model, group: scored(0.6))
    assert float(load_model(str(tmp_path / BEST)).model.label_propagation.unlikeness.detach()) == 1.0


def test_a_resumed_run_knows_how_long_it_has_gone_on(training_folder: Path, tmp_path: Path) -> None:
    trainer = Trainer(training_folder, tmp_path, config())
    trainer.step, trainer.clips_drawn, trainer.seconds = 7, 14, 33.5
    marked(trainer, 0.125)
    trainer.save()
    resumed = Trainer(training_folder, tmp_path, config())
    assert (resumed.step, resumed.clips_drawn, resumed.seconds) == (7, 14, 33.5)
    assert float(resumed.average.model.label_propagation.unlikeness) == 0.125


def test_a_row_that_a_full_disk_cut_short_stops_no_later_run(training_folder: Path, tmp_path: Path) -> None:
    trainer = Trainer(training_folder, tmp_path, config())
    trainer.save()
    for name in (TRAIN_LOG, VALIDATION_LOG):
        (tmp_path / name).write_text('{"step": 1, "J&F": 0.5, "loss": 1.0}\n{"step": 2, "J&')
    trainer.train(validate=lambda model, group: scored(0.4))
    assert [row["step"] for row in read_log(tmp_path / TRAIN_LOG)] == [1, 2, 3]
    assert [row["J&F"] for row in read_log(tmp_path / VALIDATION_LOG)] == [0.5, 0.4]
    assert not (tmp_path / BEST).exists(), "the row before the damaged one counts"


def test_a_worker_that_is_killed_ends_training_with_what_was_learned(
    training_folder: Path, tmp_path: Path
) -> None:
    def kill(report: StepReport) -> None:
        for process in multiprocessing.active_children():
            os.kill(process.pid or 0, signal.SIGKILL)

    trainer = Trainer(training_folder, tmp_path, config(steps=100, workers=1))
    with pytest.raises(StmaError, match="use fewer workers: the same command goes on"):
        trainer.train(kill)
    assert Trainer(training_folder, tmp_path, config()).step == trainer.step > 0


def overflowing(monkeypatch: pytest.MonkeyPatch, steps: set[int], activations: bool = False) -> None:
    """Make the loss of these calls, from 0, infinite, or the activations that it is computed from."""
    calls = iter(range(1000))
    whole = training.run_clip

    def run(model: STMA, *given: Any) -> ClipLoss:
        if next(calls) not in steps:
            return whole(model, *given)
        if activations:
            first = next(each for each in model.modules() if isinstance(each, nn.Conv2d))
            hook = first.register_forward_hook(lambda module, maps, result: result * float("inf"))
            loss = whole(model, *given)
            hook.remove()
            return loss
        loss = whole(model, *given)
        return replace(loss, total=loss.total * float("inf"))

    monkeypatch.setattr(training, "run_clip", run)


@pytest.mark.parametrize("activations", [False, True], ids=["loss", "activations"])
def test_a_step_that_overflows_is_left_out(
    training_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, activations: bool
) -> None:
    overflowing(monkeypatch, {1}, activations)
    seen: list[Tensor] = []
    trainer = Trainer(training_folder, tmp_path, config())
    trainer.train(
        lambda report: seen.append(
            torch.cat([each.detach().flatten() for each in trainer.model.parameters()])
        )
    )
    assert trainer.step == 3
    assert torch.equal(seen[0], seen[1])
    assert seen[2].isfinite().all()
    assert not torch.equal(seen[1], seen[2])
    assert all(kept.isfinite().all() for kept in trainer.model.state_dict().values())
    assert load_model(str(tmp_path / "last.safetensors"))


def test_a_run_that_diverges_is_ended_with_what_was_learned(
    training_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overflowing(monkeypatch, set(range(1, 100)))
    monkeypatch.setattr(training, "UNUSABLE_STEPS", 3)
    with pytest.raises(SettingsError, match=r"3 steps in a row.*lower learning rate"):
        Trainer(training_folder, tmp_path, config(steps=50)).train()
    assert load_model(str(tmp_path / "last.safetensors"))
    assert Trainer(training_folder, tmp_path, config()).step == 3  # the last was not counted


def test_features_learn_at_a_rate_of_their_own_and_each_step_draws_anew(
    training_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    run_clip = training.run_clip

    def noted(model: Any, clips: Any, share: float, loss: Any, generator: torch.Generator) -> Any:
        seeds.append(generator.initial_seed())
        return run_clip(model, clips, share, loss, generator)

    monkeypatch.setattr(training, "run_clip", noted)
    trainer = Trainer(training_folder, tmp_path, config(embedding_rate=0.25))
    trainer.train()
    rates = {group["features"]: group["lr"] for group in trainer.optimizer.param_groups}
    assert rates[True] == pytest.approx(rates[False] / 4)
    assert len(set(seeds)) == 3


def test_a_card_without_bf16_trains_in_float32(
    training_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = Precision("fp16", torch.float16)
    monkeypatch.setattr(training, "resolve_precision", lambda name, device: halves)
    computed: list[bool] = []
    run_clip = training.run_clip

    def noted(*given: Any) -> ClipLoss:
        computed.append(torch.is_autocast_enabled("cpu"))
        return run_clip(*given)

    monkeypatch.setattr(training, "run_clip", noted)
    Trainer(training_folder, tmp_path, config(steps=1)).train()
    assert computed == [False]


def test_an_average_follows_slowly_and_at_first_faster() -> None:
    model = nn.BatchNorm1d(1)
    average = AveragedModel(model, decay=0.9)
    nn.init.constant_(model.weight, 2.0)
    model.num_batches_tracked.fill_(5)
    average.update(model, step=0)
    assert float(average.model.weight) == pytest.approx(0.1 * 1 + 0.9 * 2)
    assert int(average.model.num_batches_tracked) == 5
    before = float(average.model.weight)
    average.update(model, step=1000)
    assert float(average.model.weight) == pytest.approx(0.9 * before + 0.1 * 2)
