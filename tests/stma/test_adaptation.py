"""Learning from the first annotated frame."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stma.adaptation import AdaptationConfig, adapted, clip_batch
from stma.config import MODEL_CONFIGS, SegmenterConfig
from stma.errors import SettingsError
from stma.labels import LEAVE
from stma.network.model import STMA
from stma.segmenter import Segmenter
from stma.synthetic import SyntheticScene
from stma.training.clip import run_clip
from stma.training.frame_clips import FrameClips
from stma.weights import load_model

CPU = torch.device("cpu")
CONFIG = SegmenterConfig(size=None, chunk=2, device="cpu", precision="fp32", adapt=2)


@pytest.fixture(scope="module")
def model() -> STMA:
    torch.manual_seed(0)
    return STMA(MODEL_CONFIGS["tiny"]).eval()


@pytest.fixture(scope="module")
def scene() -> list[tuple[np.ndarray, np.ndarray]]:
    made = SyntheticScene(64, 96, 2)
    return [made.frame(index) for index in range(8)]


def learned(model: STMA, frame: np.ndarray, labels: np.ndarray, steps: int = 2) -> dict[str, torch.Tensor]:
    return adapted(model, frame, labels, steps, None, CPU, torch.float32).state_dict()


def test_a_copy_learns_and_the_model_stays(model: STMA, scene: list[tuple[np.ndarray, np.ndarray]]) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    after = learned(model, *scene[0])
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    changed = {name.split(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}
    assert {"decoder", "memory_encoder"} <= changed
    assert not {"embedding", "label_propagation", "quality"} & changed


def test_the_same_steps_give_the_same_weights(
    model: STMA, scene: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    once, again = (learned(model, *scene[0]) for _ in range(2))
    assert all(torch.equal(value, again[name]) for name, value in once.items())


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_weights_go_a_share_of_the_way_at_the_rate_of_the_schedule(
    model: STMA, scene: list[tuple[np.ndarray, np.ndarray]], share: float
) -> None:
    config = AdaptationConfig(share=share, learning_rate=4e-4, warm_up=2)
    after = adapted(model, *scene[0], 1, None, CPU, torch.float32, config)
    pairs = zip(after.parameters(), model.parameters(), strict=True)
    farthest = max(float((one - other).detach().abs().max()) for one, other in pairs)
    assert farthest == pytest.approx(share * 4e-4 / 2, rel=0.01)  # the first step of AdamW is the rate itself


def test_other_clips_of_the_frame_are_followed_better() -> None:
    frame, labels = SyntheticScene(96, 144, 2).frame(0)

    def wrong(network: STMA) -> float:
        clips, losses = FrameClips(frame, labels, 96, 3, 96), []
        for seed in range(8):
            clip = clips.draw(np.random.default_rng((99, seed)))
            assert clip is not None
            batch, generator = clip_batch(clip, 2), torch.Generator().manual_seed(seed)
            with torch.no_grad():
                loss = run_clip(network, batch, 1.0, AdaptationConfig().loss, generator)
            losses.append(float(loss.cross_entropy + loss.coarse))
        return float(np.mean(losses))

    network = load_model("small").model
    config = replace(AdaptationConfig(), share=1.0)
    better = adapted(network, frame, labels, 15, None, CPU, torch.float32, config)
    assert wrong(better) < 0.96 * wrong(network)


def test_a_frame_without_objects_teaches_nothing(
    model: STMA, scene: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    nothing = np.full(scene[0][1].shape, LEAVE)
    nothing[:5] = 0
    speck = np.zeros_like(nothing)
    speck[20, 30] = 4
    for labels in (nothing, speck):
        after = learned(model, scene[0][0], labels)
        assert all(torch.equal(value, model.state_dict()[name]) for name, value in after.items())


def test_the_segmenter_learns_before_its_first_mask(
    model: STMA, scene: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    frames = [frame for frame, _ in scene]
    asked = Segmenter(model, CONFIG)
    given = Segmenter(
        adapted(model, *scene[2], CONFIG.adapt, None, CPU, torch.float32), replace(CONFIG, adapt=0)
    )
    ours = [p.labels for p in asked.steps(frames, {2: scene[2][1]})]
    theirs = [p.labels for p in given.steps(frames, {2: scene[2][1]})]
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))
    weights = asked.model.state_dict()
    asked.step(scene[3][0], scene[3][1])
    assert all(torch.equal(value, asked.model.state_dict()[name]) for name, value in weights.items()), (
        "only once"
    )


def test_a_run_goes_on_with_what_was_learned(model: STMA, scene: list[tuple[np.ndarray, np.ndarray]]) -> None:
    whole = Segmenter(model, CONFIG)
    whole.step(*scene[0])
    state = whole.state_dict()
    resumed = Segmenter(model, CONFIG)
    resumed.load_state_dict(state)
    for frame, _ in scene[1:5]:
        assert np.array_equal(whole.step(frame).labels, resumed.step(frame).labels)


def test_a_run_that_was_rewound_has_not_learned(
    model: STMA, scene: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    rewound = Segmenter(model, CONFIG)
    fresh = rewound.state_dict()
    rewound.step(*scene[5])
    taught = rewound.state_dict()
    weights = {name: value.clone() for name, value in taught["weights"].items()}
    rewound.load_state_dict(fresh)
    expected = Segmenter(model, CONFIG).steps([frame for frame, _ in scene[:3]], {0: scene[0][1]})
    found = rewound.steps([frame for frame, _ in scene[:3]], {0: scene[0][1]})
    for one, other in zip(expected, found, strict=True):
        assert np.array_equal(one.soft, other.soft)
    rewound.load_state_dict(rewound.state_dict())
    assert all(torch.equal(value, taught["weights"][name]) for name, value in weights.items())
    rewound.load_state_dict(taught)
    assert all(torch.equal(value, rewound.model.state_dict()[name]) for name, value in weights.items())


def test_transformed_weights_are_kept_too(scene: list[tuple[np.ndarray, np.ndarray]]) -> None:
    shipped = load_model("small").model  # wide enough for Winograd's convolutions
    whole, resumed = (Segmenter(shipped, CONFIG) for _ in range(2))
    whole.step(*scene[0])
    resumed.load_state_dict(whole.state_dict())
    expected, found = whole.step(scene[1][0]), resumed.step(scene[1][0])
    assert np.array_equal(expected.probability(1), found.probability(1))


def test_no_weights_are_kept_where_nothing_was_learned(
    model: STMA, scene: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    plain = Segmenter(model, replace(CONFIG, adapt=0))
    plain.step(*scene[0])
    assert plain.state_dict()["weights"] is None


def test_negative_steps_are_refused() -> None:
    with pytest.raises(SettingsError, match="use 0"):
        SegmenterConfig(adapt=-1)
