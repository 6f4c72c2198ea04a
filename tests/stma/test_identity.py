"""Identity switches on label maps made by hand."""

import numpy as np

from stma.identity import IdentityCounter


def two(left: int, right: int) -> np.ndarray:
    labels = np.zeros((8, 16), np.uint8)
    labels[:, 1:7], labels[:, 9:15] = left, right
    return labels


def test_every_change_of_owner_is_one_switch() -> None:
    counter = IdentityCounter()
    counter.add(two(1, 2), two(1, 2))
    counter.add(two(1, 2), two(2, 1))
    assert counter.switches == 2
    counter.add(two(1, 2), two(2, 1))
    assert counter.switches == 2, "staying wrong is no new switch"
    counter.add(two(1, 2), two(1, 2))
    assert counter.switches == 4


def test_a_lost_object_is_not_switched() -> None:
    counter = IdentityCounter()
    counter.add(two(1, 2), two(1, 0))
    counter.add(two(1, 2), two(1, 2))
    assert counter.switches == 0


def test_an_object_that_no_id_covers_by_half_has_no_other_owner() -> None:
    parted = two(2, 2)
    parted[:5, 1:7], parted[5:7, 1:7], parted[7:, 1:7] = 0, 2, 3  # five rows of eight are lost
    counter = IdentityCounter()
    counter.add(two(1, 0), parted)
    parted[3:5, 1:7] = 3  # five rows again, by two ids
    counter.add(two(1, 0), parted)
    assert counter.switches == 0
