"""Policy of the memory bank."""

from dataclasses import replace

import pytest
import torch

from stma.config import MemoryConfig
from stma.errors import SettingsError
from stma.memory import MemoryBank
from stma.network.entries import MemoryEntry
from stma.network.interest import Box
from stma.network.region import AROUND, Region

CELLS = 4


def entry(objects: int, mark: float = 0.0) -> MemoryEntry:
    return MemoryEntry(
        tokens=torch.full((1, CELLS, 8), mark),
        key=torch.full((1, CELLS, 6), mark),
        value=torch.full((1, CELLS, objects, 5), mark),
        mask=torch.full((1, objects, 2, 2), mark),
        label_key=torch.full((1, 4 * CELLS, 6), mark),
        label_mask=torch.full((1, objects, 4 * CELLS), mark),
        certainty=torch.full((1, CELLS), 0.1 + mark),
        label_certainty=torch.full((1, 4 * CELLS), 0.1 + mark),
    )


def bank_with_first(config: MemoryConfig) -> MemoryBank:
    bank = MemoryBank(config)
    bank.add_objects(1, 0)
    bank.write(entry(1), 0, permanent=True)
    return bank


def test_capacity_holds_and_permanent_frames_stay() -> None:
    config = MemoryConfig(interval=2, capacity=3)
    bank = bank_with_first(config)
    bank.write(entry(1), 1, permanent=True)
    for index in range(2, 500):
        bank.write_predicted(entry(1, index), index)
        assert len([stored for stored in bank.entries if not stored.permanent]) <= 3
    kept = [stored.frame_index for stored in bank.entries]
    assert kept[:2] == [0, 1]
    assert kept[2:] == [495, 497, 499]


def test_objects_out_of_sight_are_remembered_until_they_return() -> None:
    bank = bank_with_first(MemoryConfig(interval=1, capacity=3))
    for index in range(1, 4):
        bank.write_predicted(entry(1, 1.0), index)
    for index in range(4, 40):
        bank.write_predicted(entry(1, 0.0), index)
    assert [stored.frame_index for stored in bank.entries] == [0, 2, 3, 39]  # the newest is always among them
    for index in range(40, 43):
        bank.write_predicted(entry(1, 1.0), index)
    assert [stored.frame_index for stored in bank.entries] == [0, 40, 41, 42]


def test_each_object_out_of_sight_is_remembered_beside_those_in_sight() -> None:
    def showing(*seen: float) -> MemoryEntry:
        shown = torch.tensor(seen)[None, :, None].expand(1, len(seen), 4 * CELLS)
        return replace(entry(len(seen)), label_mask=shown)

    bank = MemoryBank(MemoryConfig(interval=1, capacity=4))
    bank.add_objects(2, 0)
    bank.write(showing(1, 1), 0, permanent=True)
    for index in range(1, 6):
        bank.write_predicted(showing(1, 1), index)
    assert [stored.frame_index for stored in bank.entries] == [0, 2, 3, 4, 5]
    for index in range(6, 40):
        bank.write_predicted(showing(1, 0), index)
    kept = [stored.frame_index for stored in bank.entries]
    assert kept == [0, 4, 5, 38, 39]  # half of the room for each
    bank.write_predicted(showing(0, 0), 40)
    assert [stored.frame_index for stored in bank.entries][-2:] == [39, 40]


def test_labels_may_travel_anywhere_at_once() -> None:
    bank = bank_with_first(MemoryConfig(interval=1))
    bank.write_predicted(entry(1, 1), 1)
    (group,) = bank.groups
    assert None not in [one.window for one in bank.view(group).labels]
    assert {one.window for one in bank.view(group, anywhere=True).labels} == {None}


def test_previous_frame_is_read_but_not_kept() -> None:
    bank = bank_with_first(MemoryConfig(interval=5))
    bank.write_predicted(entry(1, 1), 1)
    assert len(bank.view(bank.groups[0]).keys) == 2
    bank.write_predicted(entry(1, 2), 2)
    view = bank.view(bank.groups[0])
    assert [float(key[0, 0, 0]) for key in view.keys] == [0, 2]


def test_without_previous_frame_only_due_frames_are_encoded() -> None:
    bank = bank_with_first(MemoryConfig(interval=3, previous_frame=False))
    assert [bank.due(index) for index in (1, 2, 3)] == [False, False, True]


def test_late_object_reads_no_older_entry() -> None:
    bank = bank_with_first(MemoryConfig(interval=1))
    bank.write_predicted(entry(1, 1), 1)
    bank.add_objects(2, 2)
    bank.write(entry(3, 2), 2, permanent=True)
    bank.write_predicted(entry(3, 3), 3)
    early, late = bank.groups
    assert [float(key[0, 0, 0]) for key in bank.view(early).keys] == [0, 1, 2, 3]
    view = bank.view(late)
    assert [float(key[0, 0, 0]) for key in view.keys] == [2, 3]
    assert {value.shape[2] for value in view.values} == {2}


def test_removed_objects_leave_the_others_in_their_columns() -> None:
    bank = MemoryBank(MemoryConfig(interval=1))
    bank.add_objects(1, 0)
    bank.write(entry(1), 0, permanent=True)
    bank.add_objects(3, 2)
    late = entry(4)
    bank.write(replace(late, value=late.value + torch.arange(4.0)[:, None]), 2, permanent=True)
    bank.write_predicted(entry(4, 3), 3)
    before = bank.version
    bank.remove_objects({0, 2})
    assert bank.version > before
    assert [(group.start, group.first, group.last) for group in bank.groups] == [(2, 0, 2)]
    assert [stored.frame_index for stored in bank.stored] == [2, 3]
    assert bank.stored[0].entry.value[0, 0, :, 0].tolist() == [1, 3]
    assert {stored.entry.mask.shape[1] for stored in bank.stored} == {2}
    bank.add_objects(1, 4)
    assert bank.objects == 3
    bank.remove_objects({0, 1, 2})
    assert bank.empty
    assert bank.previous is None
    assert bank.objects == 0


def test_references_are_the_first_and_the_newest_and_know_their_objects() -> None:
    bank = bank_with_first(MemoryConfig(interval=1, references=2))
    bank.write_predicted(entry(1, 1), 1)
    bank.add_objects(1, 2)
    bank.write(entry(2, 2), 2, permanent=True)
    entries, valid = bank.references()
    assert [float(e.tokens[0, 0, 0]) for e in entries] == [0, 2]
    assert entries[0].value.shape[2] == 2
    assert valid.tolist() == [[[True, False], [True, True]]]


def test_an_object_is_in_a_column_of_its_own_also_where_a_reference_is_older() -> None:
    bank = MemoryBank(MemoryConfig())
    bank.add_objects(1, 0)
    bank.write(entry(1, 0.5), 0, permanent=True)
    bank.add_objects(1, 1)
    bank.write(entry(2, 0.25), 1, permanent=True)
    older, newest = bank.references()[0]
    for reference, marks in ((older, [0.5, 0.0]), (newest, [0.25, 0.25])):
        assert reference.mask[0, :, 1, 1].tolist() == marks
        assert reference.label_mask[0, :, 3].tolist() == marks
        assert reference.value[0, 1, :, 4].tolist() == marks


def test_what_is_remembered_ends_the_previous_frame_and_renews_the_references() -> None:
    bank = bank_with_first(MemoryConfig(interval=2))
    versions = [bank.version]
    bank.write_predicted(entry(1, 1), 1)
    versions.append(bank.version)
    bank.write_predicted(entry(1, 2), 2)
    versions.append(bank.version)
    assert [float(key[0, 0, 0]) for key in bank.view(bank.groups[0]).keys] == [0, 2]
    assert versions[0] == versions[1] < versions[2]


def test_an_entry_is_the_newest_of_the_frame_after_it_alone() -> None:
    bank = bank_with_first(MemoryConfig(interval=3, previous_frame=False))
    assert bank.newest(1) is bank.entries[0].entry
    bank.write_predicted(entry(1, 1), 1)
    assert bank.newest(2) is None, "the frame before was not remembered"


def test_an_entry_keeps_no_other_frames_of_its_chunk_alive() -> None:
    chunk = torch.zeros(4, 4 * CELLS, 6)
    bank = MemoryBank(MemoryConfig())
    bank.write(replace(entry(1), label_key=chunk[1:2]), 0, permanent=True)
    kept = bank.entries[0].entry.label_key
    assert kept.untyped_storage().nbytes() == kept.nbytes


def test_state_survives() -> None:
    bank = bank_with_first(MemoryConfig(interval=5))
    bank.write_predicted(entry(1, 3), 1)
    other = MemoryBank(bank.config)
    other.load_state_dict(bank.state_dict(), torch.device("cpu"))
    mine, theirs = bank.view(bank.groups[0]), other.view(other.groups[0])
    assert all(torch.equal(a, b) for a, b in zip(mine.values, theirs.values, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(mine.certainties, theirs.certainties, strict=True))
    assert all(torch.equal(a.weights, b.weights) for a, b in zip(mine.labels, theirs.labels, strict=True))
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(mine.labels, theirs.labels, strict=True))
    assert other.previous is not None
    assert other.objects == 1


def test_for_a_region_predicted_frames_are_read_near_it_alone() -> None:
    height, width, region = 30, 40, Region(Box(8, 16, 8, 16), 30, 40)
    cells = torch.arange(height * width, dtype=torch.float32)
    whole = replace(
        entry(1),
        key=cells[None, :, None],
        value=cells[None, :, None, None],
        certainty=cells[None],
        mask=torch.zeros(1, 1, height, width),
    )
    bank = MemoryBank(MemoryConfig(interval=1))
    bank.add_objects(1, 0)
    bank.write(whole, 0, permanent=True)
    bank.write_predicted(whole, 1)
    (group,) = bank.groups
    annotated, predicted = bank.view(group, region).keys
    assert torch.equal(annotated, whole.key)
    near = slice(8 - AROUND, 16 + AROUND)
    wanted = cells.view(height, width)[near, near].flatten()
    assert torch.equal(predicted[0, :, 0], wanted)
    view = bank.view(group, region)
    assert torch.equal(view.values[1][0, :, 0, 0], wanted)
    assert torch.equal(view.certainties[1][0], wanted)
    part = replace(whole, key=whole.key[:, :7], value=whole.value[:, :7], certainty=whole.certainty[:, :7])
    bank.write_predicted(part, 2)  # made for a region itself
    assert bank.view(group, region).keys[2].shape[1] == 7
    assert [key.shape[1] for key in bank.view(group).keys] == [1200, 1200, 7]


def test_labels_travel_from_annotated_and_newest_frames_only() -> None:
    bank = bank_with_first(
        MemoryConfig(
            interval=1, capacity=4, label_recent=2, label_window=6, annotated_window=9, newest_window=4
        )
    )
    bank.write(entry(1, 1), 1, permanent=True)
    bank.write(entry(1, 2), 2, permanent=True)
    for index in range(3, 9):
        bank.write_predicted(entry(1, index), index)
    labels = bank.view(bank.groups[0]).labels
    assert [(float(label.key[0, 0, 0]), label.window) for label in labels] == [
        (0, 9),
        (2, 9),
        (7, 6),
        (8, 4),
    ]


def test_an_annotated_frame_that_is_the_newest_is_read_near_by_as_well() -> None:
    bank = bank_with_first(MemoryConfig(interval=1, annotated_window=9, newest_window=4))
    labels = bank.view(bank.groups[0]).labels
    assert [(label.window, label.annotated, label.newest) for label in labels] == [
        (9, True, False),
        (4, False, True),
    ]
    bank.write_predicted(entry(1, 1), 1)
    bank.write(entry(1, 2), 2, permanent=True)
    labels = bank.view(bank.groups[0]).labels
    assert [(float(label.key[0, 0, 0]), label.newest) for label in labels] == [
        (0, False),
        (2, False),
        (1, False),
        (2, True),
    ]


def test_predicted_masks_are_not_remembered_softer_than_predicted() -> None:
    with pytest.raises(SettingsError, match=r"mask_sharpness is 0\.5; use 1"):
        MemoryConfig(mask_sharpness=0.5)
    with pytest.raises(
        SettingsError, match=r"certainty_power is -1\.0; use 0 \(all cells count alike\) or more"
    ):
        MemoryConfig(certainty_power=-1.0)


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("label_sharpness", 0.0, "above 0"),
        ("label_sharpness", float("nan"), "above 0"),
        ("mask_sharpness", float("nan"), "use 1"),
        ("mask_sharpness", float("inf"), "use 1"),
        ("certainty_power", float("nan"), "use 0"),
        ("readout_sharpness", -1.0, "above 0"),
        ("label_window", -1, "0 or more"),
        ("newest_window", -3, "0 or more"),
        ("annotated_window", -1, "0 or more"),
    ],
)
def test_impossible_settings_are_refused(name: str, value: float, fix: str) -> None:
    with pytest.raises(SettingsError, match=rf"memory {name} is {value}.*{fix}"):
        MemoryConfig(**{name: value})  # type: ignore[arg-type]


def test_labels_may_stay_in_their_cell_or_travel_anywhere() -> None:
    for window in (0, None):
        MemoryConfig(label_window=window, newest_window=window, annotated_window=window)
