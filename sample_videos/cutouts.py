"""Cut-outs from scikit-image's bundled photographs: drawn outlines, some tightened by GrabCut."""

from dataclasses import dataclass

import cv2
import numpy as np
from skimage import data

Outline = list[tuple[int, int]]

ASTRONAUT: Outline = [
    *[(195, 35), (215, 18), (240, 15), (265, 22), (285, 40), (298, 62), (301, 85), (296, 110), (285, 127)],
    *[(277, 136), (268, 134), (262, 148), (257, 165), (255, 173), (275, 185), (292, 205), (302, 228)],
    *[(304, 238), (320, 245), (338, 265), (350, 285), (358, 310), (362, 330), (365, 349), (380, 344)],
    *[(405, 343), (430, 350), (455, 365), (475, 388), (488, 415), (495, 445), (500, 455), (507, 465)],
    *[(511, 490), (511, 511), (28, 511), (25, 490), (22, 470), (22, 440), (24, 415), (22, 400), (18, 385)],
    *[(20, 365), (24, 345), (30, 325), (32, 305), (38, 285), (50, 262), (65, 245), (85, 232), (105, 215)],
    *[(112, 208), (113, 190), (118, 175), (130, 158), (150, 150), (170, 148), (184, 149), (182, 135)],
    *[(175, 130), (165, 118), (155, 100), (153, 75), (158, 55), (172, 42), (185, 38)],
]
SHUTTLE: Outline = [
    *[(408, 0), (419, 0), (426, 6), (432, 20), (436, 40), (436, 50), (439, 43), (442, 39), (446, 44)],
    *[(450, 58), (452, 75), (452, 205), (455, 215), (455, 232), (454, 237), (455, 250), (459, 262)],
    *[(455, 270), (470, 275), (465, 279), (428, 284), (413, 284), (400, 290), (385, 290), (370, 286)],
    *[(367, 280), (371, 272), (366, 268), (368, 255), (376, 240), (378, 232), (376, 229), (356, 226)],
    *[(354, 221), (356, 212), (361, 203), (370, 193), (378, 185), (378, 130), (380, 115), (380, 60)],
    *[(384, 45), (387, 41), (391, 48), (395, 60), (397, 60), (396, 40), (399, 20), (404, 7)],
]
CAT: Outline = [
    *[(45, 0), (35, 30), (33, 60), (38, 90), (41, 115), (50, 150), (62, 180), (80, 215), (108, 245)],
    *[(150, 264), (190, 276), (240, 283), (285, 276), (308, 262), (314, 240), (330, 210), (345, 182)],
    *[(358, 150), (361, 120), (354, 90), (353, 72), (366, 58), (378, 32), (396, 0)],
]
CUP: Outline = [
    *[(174, 95), (178, 78), (190, 55), (210, 37), (240, 24), (275, 18), (310, 21), (345, 31), (375, 46)],
    *[(395, 64), (399, 71), (405, 67), (413, 67), (422, 71), (424, 80), (418, 95), (417, 103), (430, 112)],
    *[(450, 140), (465, 170), (475, 200), (479, 230), (477, 260), (465, 295), (447, 325), (420, 350)],
    *[(385, 370), (345, 383), (300, 389), (255, 385), (215, 374), (175, 355), (145, 332), (118, 303)],
    *[(97, 270), (83, 238), (76, 205), (79, 175), (88, 147), (105, 120), (130, 97), (155, 82), (178, 72)],
]
COINS = {  # centre x, centre y, half width, half height in the photograph, and the tint of its metal
    "gold coin": (348, 186, 33, 33, (1.30, 1.05, 0.55)),
    "silver coin": (335, 43, 30, 29, (0.98, 1.05, 1.12)),
    "copper coin": (46, 260, 29, 29, (1.20, 0.72, 0.50)),
}


@dataclass(frozen=True)
class Cutout:
    """A picture of one object: (h, w, 3) uint8 RGB, and (h, w) float32 opacity 0..1."""

    pixels: np.ndarray
    opacity: np.ndarray


def load_cutout(name: str) -> Cutout:
    """Return a cut-out by its name: "astronaut", "shuttle", "cat", "cup" or a key of COINS."""
    if name in COINS:
        return _coin(*COINS[name])
    picture, outline, band = {
        "astronaut": (data.astronaut(), ASTRONAUT, 5),
        "shuttle": (data.astronaut(), SHUTTLE, 0),
        "cat": (data.chelsea(), CAT, 0),
        "cup": (data.coffee(), CUP, 0),
    }[name]
    mask = np.zeros(picture.shape[:2], dtype=np.uint8)
    cv2.fillPoly(mask, [np.array(outline, dtype=np.int32)], 1)
    if band:
        mask = _tightened(picture, mask, band)
    return _cropped(picture, mask)


def _coin(x: int, y: int, half_width: int, half_height: int, tint: tuple[float, float, float]) -> Cutout:
    grey = data.coins().astype(np.float32)
    picture = np.clip(grey[..., None] * np.array(tint), 0, 255).astype(np.uint8)
    mask = np.zeros(grey.shape, dtype=np.uint8)
    cv2.ellipse(mask, (x, y), (half_width, half_height), 0, 0, 360, 1, -1)
    return _cropped(picture, _tightened(picture, mask, 3))


def _tightened(picture: np.ndarray, mask: np.ndarray, band: int) -> np.ndarray:
    """Let GrabCut decide the pixels within `band` of the outline; keep the largest piece, without holes."""
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    trimap = np.where(mask > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[cv2.erode(mask, element, borderType=cv2.BORDER_REPLICATE) > 0] = cv2.GC_FGD
    trimap[cv2.dilate(mask, element) == 0] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(picture), trimap, None, *models, 3, cv2.GC_INIT_WITH_MASK)
    cut = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    outlines, _ = cv2.findContours(cut, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cut[:] = 0
    cv2.drawContours(cut, [max(outlines, key=cv2.contourArea)], -1, 1, -1)
    return cut


def _cropped(picture: np.ndarray, mask: np.ndarray) -> Cutout:
    """Smooth the outline, soften it by a pixel, and cut the picture down to it."""
    smooth = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2.0, borderType=cv2.BORDER_REPLICATE) > 0.55
    opacity = cv2.GaussianBlur(smooth.astype(np.float32), (0, 0), 0.8, borderType=cv2.BORDER_REPLICATE)
    x, y, width, height = cv2.boundingRect(smooth.astype(np.uint8))
    window = slice(max(0, y - 2), y + height + 2), slice(max(0, x - 2), x + width + 2)
    return Cutout(np.ascontiguousarray(picture[window]), np.ascontiguousarray(opacity[window]))
