"""Damaged and hostile files, each with the command that gets it and what stma must say.

Every maker works in a folder that holds only `clip.mp4` (8 frames, 64x48), `frames/` (4 PNGs), `mask.png` (objects
1 and 2), `masks/` (8 label PNGs) and `shape.json` (labelme). A command writes to `out` alone.
"""

import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from damaging import (
    COUNT,
    HEIGHT,
    SQUARE,
    WIDTH,
    animated,
    coco,
    cut,
    cvat,
    index_first,
    labelme,
    npz,
    other_size,
    photograph,
    png,
    smooth,
    sound_only,
    spoil,
    text,
    text_bomb,
    write_json,
    youtube_vis,
)
from fakes import save_mask
from media import make_clip
from PIL import Image

TRIANGLE = [[4, 4, 24, 4, 24, 24]]
SEGMENT = "segment clip.mp4 -o out --mask"
BAD_VIDEO = "segment bad.mp4 -o out --mask mask.png"
TO_DAVIS = "-o out --to davis"
FROM_YOLO = f"convert bad {TO_DAVIS} --from yolo --size 64x48"


@dataclass(frozen=True)
class Case:
    """One damaged file.

    Attributes:
        title: what is wrong with it.
        command: the words after `stma`.
        says: a part of the line that the user must see.
        refused: whether the exit status must be 2; else it is handled and the status is 0.
        make: puts it into the current folder.
    """

    title: str
    command: str
    says: str
    refused: bool
    make: Callable[[], Any]


BILLION_LAUGHS = "<!DOCTYPE a [<!ENTITY a0 'ha'>" + "".join(
    f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12)
)
ENTITY = '<!DOCTYPE a [<!ENTITY secret SYSTEM "mask.png">]>'
CVAT_POLYGON = '<polygon label="{}" points="4,4;24,4;24,24;4,24" occluded="0" z_order="0"/>'
CVAT_IMAGE = '<image id="0" name="{}" width="64" height="48">{}</image>'
RUNS = 'label="cat" rle="{}" left="4" top="4" width="{}" height="10" z_order="0"'

VIDEOS = (
    Case("video of zero bytes", BAD_VIDEO, "is empty (0 bytes)", True,
         lambda: text("bad.mp4", b"")),
    Case("video cut off before its index", BAD_VIDEO, "cannot be read as a video", True,
         lambda: cut("clip.mp4", "bad.mp4", 0.6)),
    Case("video cut off after its index", BAD_VIDEO, "is damaged there", True,
         lambda: (index_first("fast.mp4"), cut("fast.mp4", "bad.mp4", 0.7))),
    Case("Matroska video cut off", "check bad.mkv --mask mask.png", "cut off or damaged", True,
         lambda: (make_clip(Path("fast.mkv"), 90, width=WIDTH, height=HEIGHT), cut("fast.mkv", "bad.mkv", 0.5))),
    Case("noise in the middle of a video", BAD_VIDEO, "error", True,
         lambda: spoil("clip.mp4", "bad.mp4", 0.1, 0.5)),
    Case("noise with the name of a video", "check bad.mp4", "cannot be read as a video", True,
         lambda: text("bad.mp4", np.random.default_rng(0).bytes(50_000))),
    Case("text with the name of a video", BAD_VIDEO, "cannot be read as a video", True,
         lambda: text("bad.mp4", "not a video\n" * 50)),
    Case("sound without pictures", BAD_VIDEO, "sound but no video stream", True,
         lambda: sound_only("bad.mp4")),
    Case("playlist that names other files", BAD_VIDEO, "cannot be read as a video", True,
         lambda: text("bad.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.mp4\n#EXT-X-ENDLIST\n")),
    Case("ffconcat list that names other files", BAD_VIDEO, "a list that names others", True,
         lambda: text("bad.mp4", "ffconcat version 1.0\nfile clip.mp4\n")),
    Case("protocol in the name of the video", BAD_VIDEO.replace("bad.mp4", "concat:a.mp4|b.mp4"), "does not exist",
         True, lambda: None),
    Case("video that is a named pipe", BAD_VIDEO, "is no file but a pipe", True,
         lambda: os.mkfifo("bad.mp4")),
    Case("video that is a link to nothing", BAD_VIDEO, "does not exist", True,
         lambda: os.symlink("nowhere.mp4", "bad.mp4")),
    Case("empty folder of frames", "segment bad -o out --mask mask.png", "has no images", True,
         lambda: Path("bad").mkdir()),
    Case("frame cut off", "segment frames -o out --mask mask.png", "3.png", True,
         lambda: cut("frames/2.png", "frames/3.png", 0.6)),
    Case("frame of zero bytes", "check frames --mask mask.png", "2.png cannot be read", True,
         lambda: text("frames/2.png", b"")),
    Case("frame of another size", "segment frames -o out --mask mask.png", "64x24", True,
         lambda: other_size("frames/2.png")),
    Case("animated PNG among the frames", "segment frames -o out --mask mask.png", "holds 3 pictures", True,
         lambda: animated("frames/2.png")),
    Case("frame that claims 60000x60000 pixels", "segment frames -o out --mask mask.png", "0.png", True,
         lambda: png("frames/0.png", 60_000, 60_000)),
)  # fmt: skip

MASKS = (
    Case("mask of zero bytes", f"{SEGMENT} bad.png", "not a picture", True, lambda: text("bad.png", b"")),
    Case("mask cut off", f"{SEGMENT} bad.png", "damaged", True, lambda: cut("mask.png", "bad.png", 0.95)),
    Case("mask with noise in its pixels", f"{SEGMENT} bad.png", "bad.png", True,
         lambda: spoil("mask.png", "bad.png", 0.9, 0.97)),
    Case("text with the name of a mask", f"{SEGMENT} bad.png", "not a picture", True,
         lambda: text("bad.png", "not a picture")),
    Case("JPEG with the name of a PNG", f"{SEGMENT} bad.png", "is a JPEG file", True,
         lambda: Image.open("mask.png").convert("RGB").save("bad.png", "JPEG")),
    Case("mask that claims 100000x100000 pixels", f"{SEGMENT} bad.png", "more than 100 million pixels", True,
         lambda: png("bad.png", 100_000, 100_000)),
    Case("mask that claims 2000000000 columns", "check clip.mp4 --mask bad.png", "million pixels", True,
         lambda: png("bad.png", 2_000_000_000, 1)),
    Case("array that unpacks to 28800x19200 pixels", f"{SEGMENT} bad.npz", "more than 100 million pixels", True,
         lambda: npz("bad.npz", (19_200, 28_800), bytes(100))),
    Case("array that claims 10^6 planes", f"{SEGMENT} bad.npz", "over 500 MB", True,
         lambda: npz("bad.npz", (10**6, HEIGHT, WIDTH), bytes(100))),
    Case("mask with less pixels than it claims", f"{SEGMENT} bad.png", "damaged", True,
         lambda: png("bad.png", WIDTH, HEIGHT)),
    Case("mask with a compressed text of 64 MiB", f"{SEGMENT} bad.png", "damaged", True, lambda: text_bomb("bad.png")),
    Case("animated PNG as a mask", f"{SEGMENT} bad.png", "is animated", True, lambda: animated("bad.png")),
    Case("animated GIF as a mask", f"{SEGMENT} bad.gif", "is animated", True, lambda: animated("bad.gif")),
    Case("smoothed mask", f"{SEGMENT} bad.png", "smoothed", True, lambda: smooth("bad.png")),
    Case("photograph as a mask", f"{SEGMENT} bad.png", "bad.png", True, lambda: photograph("bad.png")),
    Case("mask with floating-point pixels", f"{SEGMENT} bad.tif", "stores its pixels as F", True,
         lambda: Image.fromarray(np.ones((HEIGHT, WIDTH), np.float32)).save("bad.tif")),
    Case("mask that is a named pipe", f"{SEGMENT} bad.png", "there is no mask file", True,
         lambda: os.mkfifo("bad.png")),
    Case("saved mask cut off", "overlay clip.mp4 masks -o out/a.mp4", "00003.png", True,
         lambda: cut("masks/00002.png", "masks/00003.png", 0.8)),
    Case("prediction cut off", "evaluate masks truth", "00003.png", True,
         lambda: (Path("masks").rename("truth"), Path("masks").mkdir(),
                  [save_mask(f"masks/{n:05d}.png", 1, 2) for n in range(COUNT)],
                  cut("masks/00002.png", "masks/00003.png", 0.8))),
)  # fmt: skip

JSON_FILES = (
    Case("JSON that ends early", f"{SEGMENT} bad.json", "is not valid JSON", True,
         lambda: cut("shape.json", "bad.json", 0.5)),
    Case("JSON of zero bytes", f"{SEGMENT} bad.json", "is not valid JSON", True, lambda: text("bad.json", b"")),
    Case("JSON in UTF-16", f"{SEGMENT} bad.json", "is not valid JSON", True,
         lambda: text("bad.json", json.dumps(labelme(SQUARE)).encode("utf-16"))),
    Case("JSON nested 100000 times", f"{SEGMENT} bad.json", "is not valid JSON", True,
         lambda: text("bad.json", "[" * 100_000)),
    Case("JSON of another tool", f"{SEGMENT} bad.json", "does not know", True,
         lambda: write_json("bad.json", {"a": 1})),
    Case("points that are not numbers", f"{SEGMENT} bad.json", "not a list of points", True,
         lambda: write_json("bad.json", labelme([["a", "b"], [1, 2], [3, 4]]))),
    Case("coordinates NaN", f"{SEGMENT} bad.json", "not a list of points", True,
         lambda: write_json("bad.json", labelme([[float("nan"), 1], [20, 2], [20, 30]]))),
    Case("coordinates of 1e300", "check clip.mp4 --mask bad.json", "outside the frame", True,
         lambda: write_json("bad.json", labelme([[1e300, 1], [20, 2], [20, 30]]))),
    Case("circle of radius 1e15", f"{SEGMENT} bad.json", "larger than the picture", True,
         lambda: write_json("bad.json", labelme([[30, 20], [1e15, 20]], shape_type="circle"))),
    Case("embedded mask that is no PNG", f"{SEGMENT} bad.json", "damaged mask", True,
         lambda: write_json("bad.json", labelme([[4, 4], [9, 9]], shape_type="mask", mask="AAAA"))),
    Case("labelme without shapes", f"{SEGMENT} bad.json", "bad.json", True,
         lambda: write_json("bad.json", {"shapes": 7, "imageWidth": WIDTH, "imageHeight": HEIGHT})),
    Case("run lengths that do not add up", f"{SEGMENT} bad.json", "do not add up", True,
         lambda: write_json("bad.json", coco({"size": [HEIGHT, WIDTH], "counts": [5, 10]}))),
    Case("compressed run lengths of noise", f"{SEGMENT} bad.json", "do not add up", True,
         lambda: write_json("bad.json", coco({"size": [HEIGHT, WIDTH], "counts": "~~\u00e9~ooo"}))),
    Case("run lengths of 10^12 pixels", f"convert bad.json {TO_DAVIS}", "more than 100 million pixels", True,
         lambda: write_json("bad.json", coco({"size": [10**6] * 2, "counts": [10**12]}, "0.jpg", 10**6, 10**6))),
    Case("run lengths of SAM of 6 * 10^15 pixels", f"{SEGMENT} bad.json", "more than 100 million pixels", True,
         lambda: write_json("bad.json", [{"segmentation": {"size": [6 * 10**7, 10**8], "counts": [6 * 10**15]}}])),
    Case("run lengths of COCO of 76800x57600 pixels", f"{SEGMENT} bad.json", "more than 100 million pixels", True,
         lambda: write_json("bad.json", coco({"size": [57_600, 76_800], "counts": [57_600 * 76_800]}, "0.jpg",
                                             76_800, 57_600))),
    Case("outline that crosses itself on 76800x57600 pixels", "check clip.mp4 --mask bad.json --fix mended.json",
         "more than 100 million pixels", True,
         lambda: write_json("bad.json", {**labelme([[4, 4], [24, 24], [24, 4], [4, 24]]), "imageWidth": 76_800,
                                         "imageHeight": 57_600})),
    Case("picture of infinite width", "check clip.mp4 --mask bad.json", "field of the wrong kind", True,
         lambda: write_json("bad.json", {**labelme(SQUARE), "imageWidth": float("inf")})),
    Case("size of a picture as text", f"convert bad.json {TO_DAVIS}", "has no size", True,
         lambda: write_json("bad.json", coco([[1, 1, 9, 1, 9, 9]], "0.jpg", "64", None))),
)  # fmt: skip

PATHS = (
    Case("COCO picture named ../../evil", f"convert bad.json {TO_DAVIS}", "1 frame,", False,
         lambda: write_json("bad.json", coco(TRIANGLE, "../../evil.jpg"))),
    Case("COCO picture named /absolute/evil", f"convert bad.json {TO_DAVIS}", "1 frame,", False,
         lambda: write_json("bad.json", coco(TRIANGLE, "/tmp/evil.jpg"))),
    Case("COCO picture named C:\\evil, with NUL", f"convert bad.json {TO_DAVIS}", "1 frame,", False,
         lambda: write_json("bad.json", coco(TRIANGLE, "C:\\x\\evil\0:a.jpg"))),
    Case("YouTube-VIS frames named ../evil", f"convert bad.json {TO_DAVIS}", "2 frames", False,
         lambda: write_json("bad.json", youtube_vis(["../../evil0.jpg", "../../evil1.jpg"], [TRIANGLE, None]))),
    Case("two frames that would be one file", f"convert bad.json {TO_DAVIS}", "is there twice", True,
         lambda: write_json("bad.json", youtube_vis(["a/0.jpg", "b/0.jpg"], [None, TRIANGLE]))),
    Case("segmentations fewer than frames", f"convert bad.json {TO_DAVIS}", "one segmentation for each", True,
         lambda: write_json("bad.json", youtube_vis(["0.jpg", "1.jpg"], [None]))),
    Case("object named ../../evil", "convert bad.json -o out --to binary", "1 object ", False,
         lambda: write_json("bad.json", labelme(SQUARE, label="../../evil"))),
    Case("object named .. in names.json", "convert masks -o out --to binary", "2 objects", False,
         lambda: write_json("masks/names.json", {"objects": [{"id": 1, "name": ".."}, {"id": 2, "name": "/evil"}]})),
    Case("CVAT image named ../evil", f"convert bad.xml {TO_DAVIS}", "1 frame,", False,
         lambda: text("bad.xml", cvat(CVAT_IMAGE.format("../../evil.png", CVAT_POLYGON.format("../evil"))))),
    Case("NPZ frame named ../evil", f"convert bad.npz {TO_DAVIS}", "2 frames", False,
         lambda: npz("bad.npz", frames=["../../evil", "/tmp/evil"])),
    Case("name of a mask on the command line with ..", f"{SEGMENT} ../evil=mask_one.png", "1 = ../evil", False,
         lambda: save_mask("mask_one.png", 1)),
    Case("configuration beside the clip that writes elsewhere", f"{SEGMENT} mask.png", "may not", True,
         lambda: text("stma.toml", '[segment]\noverlay = "../evil.mp4"\nforce = true\n')),
)  # fmt: skip

OTHERS = (
    Case("names.json cut off", "overlay clip.mp4 masks -o out/a.mp4", "names.json cannot be read", True,
         lambda: text("masks/names.json", '{"objects": [{"id"')),
    Case("report.json cut off", "report masks -o out/a.html", "report.json", True,
         lambda: text("masks/report.json", '{"format": 1, "frames": [')),
    Case("report.json of other fields", "report masks -o out/a.html", "report.json", True,
         lambda: write_json("masks/report.json", {"format": 1, "frames": 7, "objects": [3], "video": None})),
    Case("configuration cut off", f"{SEGMENT} mask.png --config bad.toml", "is not valid TOML", True,
         lambda: text("bad.toml", "[segment]\nsize = ")),
    Case("XML entities that unfold to 200 GB", f"convert bad.xml {TO_DAVIS}", "is not valid XML", True,
         lambda: text("bad.xml", cvat(CVAT_IMAGE.format("&a11;", ""), head=BILLION_LAUGHS + "]>"))),
    Case("XML entity that reads a file", f"convert bad.xml {TO_DAVIS}", "is not valid XML", True,
         lambda: text("bad.xml", cvat(CVAT_IMAGE.format("a.png", "&secret;"), head=ENTITY))),
    Case("XML cut off", f"convert bad.xml {TO_DAVIS}", "is not valid XML", True,
         lambda: text("bad.xml", cvat(CVAT_IMAGE.format("a.png", ""))[:-60])),
    Case("CVAT mask of 10^12 pixels", f"convert bad.xml {TO_DAVIS}", "leaves the frame", True,
         lambda: text("bad.xml", cvat(CVAT_IMAGE.format("a.png", f"<mask {RUNS.format(10**12, 10**11)}/>")))),
    Case("CVAT video of 10^9 frames", f"convert bad.xml {TO_DAVIS}", "has 1000000000 frames", True,
         lambda: text("bad.xml", cvat('<track id="0" label="cat"/>', "interpolation", 10**9))),
    Case("NPZ that is no archive", f"convert bad.npz {TO_DAVIS}", "cannot be read as NPZ", True,
         lambda: text("bad.npz", b"PK\3\4 not an archive")),
    Case("NPZ cut off", f"convert bad.npz {TO_DAVIS}", "cannot be read as NPZ", True,
         lambda: (npz("whole.npz"), cut("whole.npz", "bad.npz", 0.7))),
    Case("NPZ that claims 10^9 frames", f"convert bad.npz {TO_DAVIS}", "ends before frame", True,
         lambda: npz("bad.npz", (10**9, HEIGHT, WIDTH), bytes(HEIGHT * WIDTH))),
    Case("NPZ that claims frames of 10^14 pixels", f"convert bad.npz {TO_DAVIS}", "more than 100 million pixels", True,
         lambda: npz("bad.npz", (1, 10**7, 10**7), bytes(100))),
    Case("NPZ with pickled objects", f"convert bad.npz {TO_DAVIS}", "no usable 'frames'", True,
         lambda: npz("bad.npz", frames=np.array([{"a": 1}, {"b": 2}], dtype=object))),
    Case("YOLO row that is no number", FROM_YOLO, "is no row of YOLO labels", True,
         lambda: text("bad/0.txt", "0 0.1 0.1 0.5 x 0.5 0.5\n")),
    Case("YOLO row with nan", FROM_YOLO, "not a list of points", True,
         lambda: text("bad/0.txt", "0 nan 0.1 0.5 0.1 0.5 0.5\n")),
    Case("YOLO class 10^9", FROM_YOLO, "ids outside 0 to 65535", True,
         lambda: text("bad/0.txt", "1000000000 0.1 0.1 0.5 0.1 0.5 0.5\n")),
    Case("weights cut off", "segment clip.mp4 -o out --mask mask.png --model bad.safetensors", "safetensors", True,
         lambda: text("bad.safetensors", struct.pack("<Q", 10**15) + b"{}")),
)  # fmt: skip

CASES = (*VIDEOS, *MASKS, *JSON_FILES, *PATHS, *OTHERS)
