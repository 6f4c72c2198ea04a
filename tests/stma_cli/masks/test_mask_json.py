"""Annotation JSON: labelme, COCO, stma's own, and everything that is refused."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from stma.errors import AnnotationError, InputError, MaskError
from stma_cli.masks import Annotation, ObjectIds, WantedPicture, read_annotation

WIDTH, HEIGHT = 64, 48
BOX = [[4, 6], [20, 6], [20, 30], [4, 30]]


def box_mask(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def read(tmp_path: Path, content: Any, **options: Any) -> Annotation:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    return read_annotation(path, WIDTH, HEIGHT, **options)


def shape(label: str, points: Any, kind: str = "polygon", **fields: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, **fields}


def labelme(*shapes: dict[str, Any], width: int = WIDTH, height: int = HEIGHT) -> dict[str, Any]:
    return {"version": "5.5.0", "shapes": list(shapes), "imageWidth": width, "imageHeight": height}


def coco(*segmentations: Any, names: tuple[str, ...] = ("dog",), **picture: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 9, "file_name": "00000.jpg", "width": WIDTH, "height": HEIGHT, **picture}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names)],
        "annotations": [
            {
                "id": 70 + number,
                "image_id": 9,
                "category_id": min(number, len(names) - 1),
                "segmentation": value,
            }
            for number, value in enumerate(segmentations)
        ],
    }


def own(*objects: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"stma": 1, "width": WIDTH, "height": HEIGHT, "objects": list(objects), **fields}


class TestLabelme:
    def test_polygon_rectangle_circle(self, tmp_path: Path) -> None:
        circle = shape("ball", [[50, 20], [50, 28]], "circle")
        annotation = read(
            tmp_path, labelme(shape("dog", BOX), shape("cat", [[30, 47], [24, 35]], "rectangle"), circle)
        )
        np.testing.assert_array_equal(annotation.labels == 1, box_mask(4, 6, 20, 30))
        np.testing.assert_array_equal(annotation.labels == 2, box_mask(24, 35, 30, 47))
        assert abs(int((annotation.labels == 3).sum()) - np.pi * 64) < 8
        assert annotation.names == {1: "dog", 2: "cat", 3: "ball"}

    def test_group_id_joins_shapes_and_its_absence_parts_them(self, tmp_path: Path) -> None:
        other = [[30, 6], [40, 6], [40, 20], [30, 20]]
        joined = read(tmp_path, labelme(shape("dog", BOX, group_id=3), shape("dog", other, group_id=3)))
        assert joined.names == {1: "dog"}
        assert joined.labels[10, 10] == joined.labels[10, 35] == 1
        apart = read(tmp_path, labelme(shape("dog", BOX), shape("dog", other)))
        assert apart.names == {1: "dog", 2: "dog 2"}
        assert "group id" in apart.notes[0]

    def test_label_that_is_a_number_is_the_id(self, tmp_path: Path) -> None:
        assert read(tmp_path, labelme(shape("12", BOX))).object_ids == (12,)

    @pytest.mark.parametrize("labels", [("dog", "1"), ("1", "dog")])
    def test_names_take_no_id_that_is_a_label(self, tmp_path: Path, labels: tuple[str, str]) -> None:
        other = [[30, 6], [40, 6], [40, 20], [30, 20]]
        annotation = read(tmp_path, labelme(shape(labels[0], BOX), shape(labels[1], other)))
        assert annotation.names == {1: "object 1", 2: "dog"}

    def test_a_name_and_a_number_are_not_one_object(self, tmp_path: Path) -> None:
        object_ids = ObjectIds()
        read(tmp_path, labelme(shape("dog", BOX)), object_ids=object_ids)
        assert read(tmp_path, labelme(shape("1", BOX)), object_ids=object_ids).names == {1: "dog"}
        other = [[30, 6], [40, 6], [40, 20], [30, 20]]
        with pytest.raises(AnnotationError, match=r"'dog'.*is object 1 in an earlier mask.*another label"):
            read(tmp_path, labelme(shape("dog", BOX), shape("1", other)), object_ids=object_ids)

    def test_embedded_mask(self, tmp_path: Path) -> None:
        buffer = io.BytesIO()
        Image.fromarray(np.eye(10, dtype=bool)).save(buffer, format="PNG")
        encoded = base64.b64encode(buffer.getvalue()).decode()
        annotation = read(tmp_path, labelme(shape("dog", [[5, 7], [14, 16]], "mask", mask=encoded)))
        np.testing.assert_array_equal(annotation.labels[7:17, 5:15], np.eye(10))
        turned = read(tmp_path, labelme(shape("dog", [[14, 16], [5, 7]], "mask", mask=encoded)))
        np.testing.assert_array_equal(turned.labels, annotation.labels)
        with pytest.raises(AnnotationError, match=r"damaged mask.*save the file again"):
            read(tmp_path, labelme(shape("dog", [[5, 7], [14, 16]], "mask", mask="????")))
        with pytest.raises(AnnotationError, match="leaves the frame"):
            read(tmp_path, labelme(shape("dog", [[60, 7], [69, 16]], "mask", mask=encoded)))

    def test_an_embedded_mask_is_scaled_too(self, tmp_path: Path) -> None:
        buffer = io.BytesIO()
        Image.fromarray(np.ones((48, 32), dtype=bool)).save(buffer, format="PNG")
        encoded = base64.b64encode(buffer.getvalue()).decode()
        drawn = shape("dog", [[8, 12], [39, 59]], "mask", mask=encoded)
        annotation = read(tmp_path, labelme(drawn, width=WIDTH * 2, height=HEIGHT * 2))
        np.testing.assert_array_equal(annotation.labels == 1, box_mask(4, 6, 20, 30))

    def test_what_of_a_circle_is_above_the_frame_is_nowhere(self, tmp_path: Path) -> None:
        labels = read(tmp_path, labelme(shape("ball", [[30, 2], [30, 10]], "circle"))).labels
        assert labels[:10].any()
        assert not labels[10:].any()

    @pytest.mark.parametrize(("right", "fits"), [(64.9, True), (66.0, False)])
    def test_a_point_may_be_a_pixel_beyond_the_frame(self, tmp_path: Path, right: float, fits: bool) -> None:
        content = labelme(shape("dog", [[40, 6], [right, 6], [right, 30], [40, 30]]))
        if fits:
            np.testing.assert_array_equal(read(tmp_path, content).labels == 1, box_mask(40, 6, 64, 30))
        else:
            with pytest.raises(AnnotationError, match="reaches x = 66, outside the frame"):
                read(tmp_path, content)

    def test_coordinates_are_scaled_with_a_note(self, tmp_path: Path) -> None:
        double = [[2 * x, 2 * y] for x, y in BOX]
        annotation = read(tmp_path, labelme(shape("dog", double), width=WIDTH * 2, height=HEIGHT * 2))
        np.testing.assert_array_equal(annotation.labels == 1, box_mask(4, 6, 20, 30))
        assert annotation.notes == ("scaled from 128x96 to 64x48",)

    def test_later_shape_wins_with_a_note(self, tmp_path: Path) -> None:
        annotation = read(tmp_path, labelme(shape("dog", BOX), shape("cat", [[4, 6], [8, 10]], "rectangle")))
        assert annotation.labels[7, 5] == 2
        assert annotation.notes == ("cat covers 16 pixels of dog: the later wins",)

    @pytest.mark.parametrize(
        ("bad", "words"),
        [
            (shape("dog", [[0, 0], [10, 10]], "line"), "is a line, which has no area; draw a polygon"),
            (shape("dog", [[4, 4], [30, 30], [30, 4], [4, 30]]), r"crosses itself near x = 17, y = 17"),
            (shape("dog", [[4, 4], [90, 4], [30, 30]]), "reaches x = 90, outside the frame"),
            (shape("dog", [[4, 4], [30, -9], [30, 30]]), "reaches y = -9, outside the frame"),
            (shape("dog", [[4, 4], [9, 9]]), "fewer than three"),
            (shape("dog", [[4, 4], [9, "x"], [1, 2]]), "not a list of points"),
            (shape("dog", [[4.6, 4.6], [4.8, 4.6], [4.8, 4.8]]), "covers no pixel"),
            ({"label": "dog"}, "has no points"),
        ],
    )
    def test_unusable_shapes(self, tmp_path: Path, bad: dict[str, Any], words: str) -> None:
        with pytest.raises(AnnotationError, match=words):
            read(tmp_path, labelme(bad))

    def test_turned_picture(self, tmp_path: Path) -> None:
        with pytest.raises(MaskError, match="turned by 90 degrees"):
            read(tmp_path, labelme(shape("dog", BOX), width=HEIGHT, height=WIDTH))

    def test_no_shapes_is_an_empty_mask(self, tmp_path: Path) -> None:
        with pytest.raises(MaskError, match=r"is empty, .*; mark at least one object in it$"):
            read(tmp_path, labelme())


class TestCoco:
    def test_polygons_and_names(self, tmp_path: Path) -> None:
        flat = [value for point in BOX for value in point]
        annotation = read(tmp_path, coco([flat], [[30, 6, 40, 6, 40, 20, 30, 20]], names=("dog", "cat")))
        np.testing.assert_array_equal(annotation.labels == 1, box_mask(4, 6, 20, 30))
        assert annotation.names == {1: "dog", 2: "cat"}

    def test_an_object_may_have_several_polygons_on_a_picture_of_another_size(self, tmp_path: Path) -> None:
        double = [2 * value for point in BOX for value in point]
        apart = [2 * value for point in ((40, 6), (50, 6), (50, 30), (40, 30)) for value in point]
        annotation = read(tmp_path, coco([double, apart], width=WIDTH * 2, height=HEIGHT * 2))
        np.testing.assert_array_equal(
            annotation.labels == 1, box_mask(4, 6, 20, 30) | box_mask(40, 6, 50, 30)
        )

    def test_objects_of_one_category_get_names_of_their_own(self, tmp_path: Path) -> None:
        annotation = read(tmp_path, coco([[4, 4, 9, 4, 9, 9, 4, 9]], [[30, 6, 40, 6, 40, 20, 30, 20]]))
        assert annotation.names == {1: "dog", 2: "dog 2"}

    @pytest.mark.parametrize("seed", range(5))
    def test_run_lengths_agree_with_pycocotools(self, tmp_path: Path, seed: int) -> None:
        generator = np.random.default_rng(seed)
        mask = (generator.random((HEIGHT, WIDTH)) > 0.6).repeat(1, 0)
        mask[:, : 10 * seed] = seed % 2
        encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        compressed = {"size": encoded["size"], "counts": encoded["counts"].decode()}
        np.testing.assert_array_equal(read(tmp_path, coco(compressed)).labels == 1, mask)
        columns = mask.T.ravel()
        edges = np.flatnonzero(np.diff(columns)) + 1
        counts = np.diff([0, *edges, columns.size]).tolist()
        plain = {"size": [HEIGHT, WIDTH], "counts": [0, *counts] if columns[0] else counts}
        np.testing.assert_array_equal(read(tmp_path, coco(plain)).labels == 1, mask)

    @pytest.mark.parametrize(
        "counts",
        [[3, 4, 5], "10 5 200 7", "abc", [10, -4, 3066], "eJwLzk0sLlHITUzOVkgpzSnRAwA=", None, [1.5] * 8],
    )
    def test_run_lengths_of_other_tools_are_refused_by_name(self, tmp_path: Path, counts: Any) -> None:
        with pytest.raises(AnnotationError, match=r"not COCO's.*export COCO JSON"):
            read(tmp_path, coco({"size": [HEIGHT, WIDTH], "counts": counts}))

    def test_swapped_run_length_size(self, tmp_path: Path) -> None:
        with pytest.raises(AnnotationError, match=r"size \[height, width\]"):
            read(tmp_path, coco({"size": [WIDTH, HEIGHT], "counts": [0, WIDTH * HEIGHT]}))

    def test_box_only(self, tmp_path: Path) -> None:
        with pytest.raises(AnnotationError, match=r"annotation 70 \('dog'\) has no outline.*draw a polygon"):
            read(tmp_path, coco([]))

    def test_picture_is_picked_by_frame_or_name(self, tmp_path: Path) -> None:
        content = coco([[4, 4, 9, 4, 9, 9, 4, 9]])
        content["images"].append({"id": 10, "file_name": "cam/f_00120.jpg", "width": WIDTH, "height": HEIGHT})
        later = {"id": 80, "image_id": 10, "category_id": 0, "segmentation": [[30, 6, 40, 6, 40, 20, 30, 20]]}
        content["annotations"].append(later)
        assert read(tmp_path, content, wanted=WantedPicture(0)).labels[5, 5] == 1
        assert read(tmp_path, content, wanted=WantedPicture(120)).labels[10, 35] == 1
        assert read(tmp_path, content, wanted=WantedPicture(3, image="f_00120.jpg")).labels[10, 35] == 1
        assert read(tmp_path, content, wanted=WantedPicture(1, stem="f_00120")).labels[10, 35] == 1
        with pytest.raises(AnnotationError, match=r"has 2 pictures.*#00000\.jpg"):
            read(tmp_path, content, wanted=WantedPicture(7))
        with pytest.raises(AnnotationError, match=r"no picture named x\.jpg"):
            read(tmp_path, content, wanted=WantedPicture(0, image="x.jpg"))

    def test_tracks_keep_their_id(self, tmp_path: Path) -> None:
        object_ids = ObjectIds()
        content = coco([[4, 4, 9, 4, 9, 9, 4, 9]], [[30, 6, 40, 6, 40, 20, 30, 20]])
        content["annotations"][0]["attributes"] = {"track_id": 5}
        content["annotations"][1]["track_id"] = 8
        read(tmp_path, content, object_ids=object_ids)
        del content["annotations"][0]
        assert read(tmp_path, content, object_ids=object_ids).object_ids == (2,)

    def test_crossing_polygon(self, tmp_path: Path) -> None:
        with pytest.raises(AnnotationError, match="crosses itself"):
            read(tmp_path, coco([[4, 4, 30, 30, 30, 4, 4, 30]]))


class TestOwnSchema:
    def test_polygons_holes_and_names(self, tmp_path: Path) -> None:
        hole = [[8, 10], [12, 10], [12, 14], [8, 14]]
        second = [[30, 6], [40, 6], [40, 20], [30, 20]]
        person = {"id": 4, "name": "person", "polygons": [BOX, second], "holes": [hole]}
        annotation = read(tmp_path, own(person))
        expected = box_mask(4, 6, 20, 30) & ~box_mask(8, 10, 12, 14) | box_mask(30, 6, 40, 20)
        np.testing.assert_array_equal(annotation.labels == 4, expected)
        assert annotation.names == {4: "person"}

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (own({"polygons": [BOX]}), 'no "id" of its own'),
            (own({"id": 1, "polygons": [BOX]}, {"id": 1, "polygons": [BOX]}), "object 2 has no"),
            (own({"id": 1}), 'no list "polygons"'),
            (own({"id": 1, "polygons": [BOX]}, stma=2), '"stma": 1, which this version reads'),
            (own({"id": 1, "polygons": [BOX]}, width=None), 'give "width", "height" and "objects"'),
            (
                own({"id": 1, "polygons": [BOX]}, {"id": 2, "polygons": [BOX]}),
                "nothing is to be seen of object 1",
            ),
        ],
    )
    def test_wrong_fields(self, tmp_path: Path, content: Any, words: str) -> None:
        with pytest.raises(AnnotationError, match=words):
            read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"videos": [], "annotations": []}, "YouTube-VIS"),
        ([{"data": {}, "annotations": [{"result": []}]}], "Label Studio"),
        ([{"id": 1, "annotations": [{"result": []}]}], "Label Studio"),
        ({"_via_img_metadata": {}}, "VGG Image Annotator"),
        ({"a.png123": {"filename": "a.png", "size": 123, "regions": []}}, "VGG Image Annotator"),
        ({"size": {}, "objects": []}, "Supervisely"),
        ({"type": "FeatureCollection", "features": []}, "GeoJSON"),
        ({"something": 1}, "does not know"),
        ([], "does not know"),
        (3, "does not know"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(AnnotationError, match=rf"{words}.*export labelme JSON"):
        read(tmp_path, content)


@pytest.mark.parametrize("wrong", [None, 7, "x", [], {}, [7], [None], {"a": []}, float("nan"), -1, 1e400])
def test_fields_of_any_wrong_kind_are_refused_without_a_traceback(tmp_path: Path, wrong: Any) -> None:
    flat = [value for point in BOX for value in point]
    good = [
        labelme(shape("dog", BOX)),
        coco([flat]),
        coco({"size": [HEIGHT, WIDTH], "counts": [0, WIDTH * HEIGHT]}),
        own({"id": 1, "polygons": [BOX], "holes": []}),
    ]

    def variants(node: Any, put: Callable[[Any], Any]) -> Iterator[Any]:
        yield put(wrong)
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, child in items:
            yield from variants(child, lambda new, key=key: put(replaced(node, key, new)))

    def replaced(node: Any, key: Any, new: Any) -> Any:
        copy = node.copy()
        copy[key] = new
        return copy

    for content in good:
        for variant in variants(content, lambda new: new):
            with suppress(InputError):
                read(tmp_path, variant)


def test_broken_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"shapes": [')
    with pytest.raises(AnnotationError, match=r"not valid JSON.*export it again"):
        read_annotation(tmp_path / "a.json", WIDTH, HEIGHT)
    (tmp_path / "b.json").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(AnnotationError, match="not valid JSON"):
        read_annotation(tmp_path / "b.json", WIDTH, HEIGHT)
    with pytest.raises(AnnotationError, match="no annotation file"):
        read_annotation(tmp_path / "c.json", WIDTH, HEIGHT)


def test_polygon_fill_follows_pixel_centres_with_long_outlines(tmp_path: Path) -> None:
    angles = np.linspace(0, 2 * np.pi, 1500, endpoint=False)
    outline = np.stack([32 + 20 * np.cos(angles), 24 + 15 * np.sin(angles)], 1)
    annotation = read(tmp_path, labelme(shape("egg", outline.tolist())))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = ((columns - 32) / 20) ** 2 + ((rows - 24) / 15) ** 2 < 1
    assert np.count_nonzero((annotation.labels == 1) != inside) <= 2
