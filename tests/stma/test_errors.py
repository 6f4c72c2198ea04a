"""Errors: problem and fix, apart and together, here and out of another process."""

import pickle

import pytest

from stma import errors
from stma.errors import MaskError, StmaError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StmaError)]


@pytest.mark.parametrize("kind", KINDS)
def test_problem_and_fix_survive_the_way_between_processes(kind: type[StmaError]) -> None:
    error = pickle.loads(pickle.dumps(kind("a.png is empty: nothing in it", "mark an object; or two")))
    assert type(error) is kind
    assert (error.problem, error.fix) == ("a.png is empty: nothing in it", "mark an object; or two")
    assert str(error) == "a.png is empty: nothing in it; mark an object; or two"
    assert error.exit_code == 2


def test_an_error_without_a_fix_cannot_be_made() -> None:
    with pytest.raises(TypeError):
        MaskError("a.png is empty")  # type: ignore[call-arg]
