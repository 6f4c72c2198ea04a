"""Mask pictures: what they mean, and which ones are refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import save, save_indexed
from PIL import Image

from stma.errors import MaskError
from stma.labels import LEAVE
from stma.palette import davis_palette
from stma_cli.masks import ObjectIds, read_annotation, read_labels

WIDTH, HEIGHT = 64, 48


def blocks(*ids: int) -> np.ndarray:
    """A label map with one 8 x 8 square per id, left to right."""
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.int32)
    for place, object_id in enumerate(ids):
        labels[8:16, 2 + 12 * place : 10 + 12 * place] = object_id
    return labels


def painted(labels: np.ndarray, colours: dict[int, tuple[int, int, int]]) -> np.ndarray:
    pixels = np.zeros((*labels.shape, 3), dtype=np.uint8)
    for object_id, colour in colours.items():
        pixels[labels == object_id] = colour
    return pixels


def smoothed_disc() -> np.ndarray:
    big = cv2.circle(np.zeros((HEIGHT * 8, WIDTH * 8), np.uint8), (250, 190), 120, 255, -1)
    return cv2.resize(big, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def test_indexed_png_keeps_ids(tmp_path: Path) -> None:
    annotation = read_annotation(save_indexed(tmp_path / "a.png", blocks(3, 7, 200)), WIDTH, HEIGHT)
    np.testing.assert_array_equal(annotation.labels, blocks(3, 7, 200))
    assert annotation.labels.dtype == np.int32
    assert annotation.names == {3: "object 3", 7: "object 7", 200: "object 200"}
    assert annotation.notes == ()


def test_grey_pngs_hold_ids(tmp_path: Path) -> None:
    eight = read_annotation(save(tmp_path / "a.png", blocks(1, 2).astype(np.uint8)), WIDTH, HEIGHT)
    sixteen = read_annotation(save(tmp_path / "b.png", blocks(5, 300).astype(np.uint16)), WIDTH, HEIGHT)
    assert eight.object_ids == (1, 2)
    assert sixteen.object_ids == (5, 300)


def test_black_and_white_is_object_1(tmp_path: Path) -> None:
    grey = save(tmp_path / "grey.png", (blocks(1) * 255).astype(np.uint8))
    rgb = save(tmp_path / "rgb.png", painted(blocks(1), {1: (255, 255, 255)}))
    bits = tmp_path / "bits.png"
    Image.fromarray((blocks(1) * 255).astype(np.uint8)).convert("1").save(bits)
    cut_out = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    cut_out[..., 3] = blocks(1) * 255  # black drawn on transparent
    for path in (grey, rgb, bits, save(tmp_path / "alpha.png", cut_out)):
        np.testing.assert_array_equal(
            read_annotation(path, WIDTH, HEIGHT).labels, blocks(1), err_msg=path.name
        )


def test_davis_colours_have_their_ids_back(tmp_path: Path) -> None:
    colours = {object_id: tuple(davis_palette()[object_id].tolist()) for object_id in (2, 5, 9)}
    annotation = read_annotation(save(tmp_path / "a.png", painted(blocks(5, 2, 9), colours)), WIDTH, HEIGHT)
    np.testing.assert_array_equal(annotation.labels, blocks(5, 2, 9))


def test_other_colours_are_numbered_in_raster_order_and_keep_their_id(tmp_path: Path) -> None:
    red, blue, orange = (255, 0, 0), (0, 0, 255), (255, 150, 0)
    first = save(tmp_path / "a.png", painted(blocks(1, 2), {1: blue, 2: red}))
    later = save(tmp_path / "b.png", painted(blocks(1, 2, 3), {1: orange, 2: red, 3: blue}))
    object_ids = ObjectIds()
    annotation = read_annotation(first, WIDTH, HEIGHT, object_ids=object_ids)
    np.testing.assert_array_equal(annotation.labels, blocks(1, 2))
    assert annotation.notes == ("colour #0000ff is object 1", "colour #ff0000 is object 2")
    second = read_annotation(later, WIDTH, HEIGHT, object_ids=object_ids)
    np.testing.assert_array_equal(second.labels, blocks(3, 2, 1))


def test_a_label_map_saved_in_rgb_keeps_its_ids(tmp_path: Path) -> None:
    greys = {object_id: (object_id,) * 3 for object_id in (1, 2, 40)}
    path = save(tmp_path / "a.png", painted(blocks(2, 40, 1), greys))
    annotation = read_annotation(path, WIDTH, HEIGHT)
    np.testing.assert_array_equal(annotation.labels, blocks(2, 40, 1))
    assert annotation.notes == ("all its colours are dark greys, so their values are taken for the ids",)
    mixed = save(tmp_path / "b.png", painted(blocks(2, 5, 1), {2: (2, 2, 2), 5: (200, 9, 9), 1: (1, 1, 1)}))
    assert read_annotation(mixed, WIDTH, HEIGHT).object_ids == (
        1,
        2,
        3,
    )  # colours, in the order of the picture
    assert read_annotation(mixed, WIDTH, HEIGHT).labels[blocks(2, 5, 1) == 2].tolist()[0] == 1


def test_the_order_of_colours_is_that_on_the_picture_and_not_that_of_their_values(tmp_path: Path) -> None:
    picture = painted(blocks(1, 2), {1: (255, 150, 0), 2: (0, 0, 255)})
    np.testing.assert_array_equal(
        read_annotation(save(tmp_path / "a.png", picture), WIDTH, HEIGHT).labels, blocks(1, 2)
    )


def test_white_alone_is_object_1_in_later_masks_too(tmp_path: Path) -> None:
    object_ids = ObjectIds()
    read_annotation(save_indexed(tmp_path / "a.png", blocks(1)), WIDTH, HEIGHT, object_ids=object_ids)
    white = save(tmp_path / "b.png", painted(blocks(1), {1: (255, 255, 255)}))
    later = read_annotation(white, WIDTH, HEIGHT, object_ids=object_ids)
    np.testing.assert_array_equal(later.labels, blocks(1))


def test_colours_that_nobody_sees_are_background(tmp_path: Path) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[..., :3] = (10, 200, 10)
    pixels[blocks(1) == 1] = (255, 150, 0, 255)
    annotation = read_annotation(save(tmp_path / "a.png", pixels), WIDTH, HEIGHT)
    np.testing.assert_array_equal(annotation.labels, blocks(1))


def test_davis_colours_are_the_objects_of_an_earlier_mask_without_colours(tmp_path: Path) -> None:
    colours = {object_id: tuple(davis_palette()[object_id].tolist()) for object_id in (1, 2)}
    result = save(tmp_path / "result.png", painted(blocks(2, 1), colours))
    white = save(tmp_path / "white.png", painted(blocks(1), {1: (255, 255, 255)}))
    for first in (save_indexed(tmp_path / "a.png", blocks(1, 2)), white):
        object_ids = ObjectIds()
        read_annotation(first, WIDTH, HEIGHT, object_ids=object_ids)
        correction = read_annotation(result, WIDTH, HEIGHT, object_ids=object_ids)
        np.testing.assert_array_equal(correction.labels, blocks(2, 1))
        assert correction.notes == ()


def test_other_colours_get_no_id_of_a_davis_colour_in_the_same_mask(tmp_path: Path) -> None:
    first_davis, red = tuple(davis_palette()[1].tolist()), (255, 0, 0)
    object_ids = ObjectIds()
    alone = save(tmp_path / "a.png", painted(blocks(2, 1), {1: first_davis, 2: red}))
    annotation = read_annotation(alone, WIDTH, HEIGHT, object_ids=object_ids)
    np.testing.assert_array_equal(annotation.labels, blocks(2, 1))
    assert annotation.notes == ("colour #ff0000 is object 2",)
    object_ids = ObjectIds()  # what an earlier mask says of a colour stays
    read_annotation(
        save(tmp_path / "b.png", painted(blocks(2), {2: red})), WIDTH, HEIGHT, object_ids=object_ids
    )
    again = read_annotation(alone, WIDTH, HEIGHT, object_ids=object_ids)
    np.testing.assert_array_equal(again.labels, blocks(1, 2))


def test_palette_with_black_elsewhere_is_read_by_colour(tmp_path: Path) -> None:
    image = Image.fromarray(np.where(blocks(1) == 1, 0, 1).astype(np.uint8))
    image.putpalette([255, 255, 255, 0, 0, 0])  # white first, as some editors sort it
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_annotation(tmp_path / "a.png", WIDTH, HEIGHT).labels, blocks(1))


def test_same_shape_is_scaled_and_said(tmp_path: Path) -> None:
    annotation = read_annotation(save_indexed(tmp_path / "a.png", blocks(1, 4)), WIDTH * 2, HEIGHT * 2)
    np.testing.assert_array_equal(annotation.labels, blocks(1, 4).repeat(2, 0).repeat(2, 1))
    assert annotation.notes == ("scaled from 64x48 to 128x96",)


def test_names_beside_the_mask_are_used(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text('{"objects": [{"id": 2, "name": "dog"}]}')
    annotation = read_annotation(save_indexed(tmp_path / "a.png", blocks(1, 2)), WIDTH, HEIGHT)
    assert annotation.names == {1: "object 1", 2: "dog"}


@pytest.mark.parametrize(
    ("width", "height", "words"),
    [
        (48, 64, "turned by 90 degrees"),
        (100, 48, "of another shape"),
        (70, 48, "with 70x48 pixels"),
        (65, 48, "with 65x48"),
    ],
)
def test_wrong_size(tmp_path: Path, width: int, height: int, words: str) -> None:
    with pytest.raises(MaskError, match=words):
        read_annotation(save_indexed(tmp_path / "a.png", blocks(1)), width, height)


def test_object_lost_by_scaling_is_an_error(tmp_path: Path) -> None:
    labels = blocks(1)
    labels[40, 41] = 2
    with pytest.raises(MaskError, match="object 2 is too small"):
        read_annotation(save_indexed(tmp_path / "a.png", labels), WIDTH // 4, HEIGHT // 4)


def test_empty_mask(tmp_path: Path) -> None:
    path = save_indexed(tmp_path / "a.png", blocks())
    with pytest.raises(MaskError, match=r"empty.*mark at least one object"):
        read_annotation(path, WIDTH, HEIGHT)
    assert read_annotation(path, WIDTH, HEIGHT, allow_empty=True).object_ids == ()


@pytest.mark.parametrize("form", ["grey", "rgb", "indexed", "alpha", "few greys"])
def test_smoothed_edges_are_refused(tmp_path: Path, form: str) -> None:
    disc = smoothed_disc()
    path = tmp_path / "a.png"
    if form == "grey":
        save(path, disc)
    elif form == "rgb":
        save(path, (disc[..., None] / 255 * np.array([255, 60, 30])).astype(np.uint8))
    elif form == "indexed":
        Image.fromarray(disc).convert("RGB").quantize(24).save(path)
    elif form == "alpha":
        save(path, np.dstack([np.full((HEIGHT, WIDTH, 3), 200, np.uint8), disc]))
    else:
        save(path, (np.round(disc / 127.5) * 127.5).astype(np.uint8))
    with pytest.raises(MaskError, match=r"anti-aliased.*indexed PNG"):
        read_annotation(path, WIDTH, HEIGHT)


def test_message_counts_the_values_of_a_smoothed_mask(tmp_path: Path) -> None:
    disc = smoothed_disc()
    count = len(np.unique(disc)) - 1
    with pytest.raises(MaskError, match=f"{count} different ids, and {count - 1} of them"):
        read_annotation(save(tmp_path / "a.png", disc), WIDTH, HEIGHT)


def test_many_real_objects_are_not_taken_for_smoothing(tmp_path: Path) -> None:
    labels = np.kron(np.arange(1, 193).reshape(12, 16), np.ones((4, 4), int))
    assert len(read_annotation(save(tmp_path / "a.png", labels.astype(np.uint16)), 64, 48).object_ids) == 192


def test_photographs_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    with pytest.raises(MaskError, match="photograph"):
        read_annotation(save(tmp_path / "a.png", noise), 400, 300)
    with pytest.raises(MaskError, match=r"JPEG.*save the mask as PNG"):
        read_annotation(save(tmp_path / "a.jpg", noise), 400, 300)


def test_unreadable_files(tmp_path: Path) -> None:
    good = save_indexed(tmp_path / "good.png", blocks(1)).read_bytes()
    (tmp_path / "cut.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "none.png").write_bytes(b"")
    for name, words in (("cut", "damaged"), ("text", "not a picture"), ("none", "not a picture")):
        with pytest.raises(MaskError, match=words):
            read_annotation(tmp_path / f"{name}.png", WIDTH, HEIGHT)
    with pytest.raises(MaskError, match=r"no mask file.*check the path"):
        read_annotation(tmp_path / "absent.png", WIDTH, HEIGHT)


def test_animated_and_huge_pictures(tmp_path: Path) -> None:
    pages = [Image.fromarray((blocks(1) * value).astype(np.uint8)) for value in (255, 200)]
    pages[0].save(tmp_path / "moving.png", save_all=True, append_images=pages[1:])
    with pytest.raises(MaskError, match="animated"):
        read_annotation(tmp_path / "moving.png", WIDTH, HEIGHT)
    Image.new("1", (20_000, 6_000)).save(tmp_path / "huge.png")
    with pytest.raises(MaskError, match="100 million pixels"):
        read_annotation(tmp_path / "huge.png", WIDTH, HEIGHT)


def test_read_labels_gives_values_as_they_are(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", (blocks(1) * 255).astype(np.uint8))
    np.testing.assert_array_equal(read_labels(path), blocks(1) * 255)
    with pytest.raises(MaskError, match="colour picture"):
        read_labels(save(tmp_path / "b.png", np.zeros((4, 4, 3), np.uint8)))


def test_255_beside_other_ids_leaves_pixels_as_predicted(tmp_path: Path) -> None:
    labels = blocks(1, 2)
    labels[-6:] = 255
    expected = np.where(labels == 255, LEAVE, labels)
    for path in (save_indexed(tmp_path / "a.png", labels), save(tmp_path / "b.png", labels.astype(np.uint8))):
        annotation = read_annotation(path, WIDTH, HEIGHT)
        np.testing.assert_array_equal(annotation.labels, expected)
        assert annotation.object_ids == (1, 2)
        assert "255 leaves pixels" in annotation.notes[0]
    wide = np.where(labels == 255, 65535, labels * 200).astype(np.uint16)
    np.testing.assert_array_equal(
        read_annotation(save(tmp_path / "c.png", wide), WIDTH, HEIGHT).labels,
        np.where(wide == 65535, LEAVE, wide.astype(np.int32)),
    )


def test_255_alone_is_an_object_but_in_a_correction(tmp_path: Path) -> None:
    path = save_indexed(tmp_path / "a.png", blocks(1) * 255)
    object_ids = ObjectIds()
    assert read_annotation(path, WIDTH, HEIGHT, object_ids=object_ids).object_ids == (255,)
    assert read_annotation(path, WIDTH, HEIGHT, object_ids=object_ids, correction=True).object_ids == (255,)
    erasing = read_annotation(path, WIDTH, HEIGHT, correction=True, allow_empty=True)
    assert erasing.object_ids == ()
    np.testing.assert_array_equal(erasing.labels, np.where(blocks(1) > 0, LEAVE, 0))
