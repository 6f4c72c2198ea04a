"""Objects asked for by id or name."""

from stma_cli.masks.selection import ids_of


def test_a_name_goes_before_an_id_of_the_same_spelling() -> None:
    assert ids_of("2", {1: "2", 2: "dog"}) == {1}
    assert ids_of("2", {1: "cat", 2: "dog"}) == {2}
