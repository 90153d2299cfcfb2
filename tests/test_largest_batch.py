"""The search for the largest batch: exact, and it gives memory back."""

from __future__ import annotations

import gc
import weakref
from functools import partial
from operator import ge

import pytest
import torch

from traincost_suites.largest_batch import fits_in_memory, largest_batch


@pytest.mark.parametrize("limit", [1, 2, 7, 64, 1000])
def test_the_search_finds_the_largest_that_fits_exactly(limit: int) -> None:
    for largest in range(1, limit + 1):
        assert largest_batch(partial(ge, largest), limit=limit) == largest


def test_none_where_not_even_one_fits() -> None:
    assert largest_batch(lambda n: False, limit=64) is None


def test_nothing_above_the_limit_is_tried_and_nothing_twice() -> None:
    asked: list[int] = []

    def fits(n: int) -> bool:
        asked.append(n)
        return n <= 700

    assert largest_batch(fits, limit=777) == 700
    assert max(asked) <= 777
    assert len(asked) == len(set(asked)) <= 2 * 10


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="limit 0"):
        largest_batch(lambda n: True, limit=0)


@pytest.mark.thorough
def test_out_of_memory_is_an_answer_and_what_the_run_held_is_gone_before_release() -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    alive_at_release: list[int] = []

    def run(batch: int) -> None:
        activation = torch.zeros(batch)
        held.append(weakref.ref(activation))
        if batch > 5:
            raise torch.OutOfMemoryError("fake: out of memory")

    def release() -> None:
        alive_at_release.append(sum(ref() is not None for ref in held))

    gc.disable()  # else a collection may come to the rescue of a frame that was not cleared
    try:
        assert largest_batch(fits_in_memory(run, release), limit=100) == 5
    finally:
        gc.enable()
    assert len(alive_at_release) == len(held)
    assert set(alive_at_release) == {0}


@pytest.mark.thorough
def test_a_library_that_cannot_get_its_workspace_is_out_of_memory_too() -> None:
    def run(batch: int) -> None:
        if batch > 2:
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate")

    assert largest_batch(fits_in_memory(run, lambda: None), limit=8) == 2


def test_another_error_is_not_taken_for_out_of_memory() -> None:
    def run(batch: int) -> None:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        largest_batch(fits_in_memory(run, lambda: None), limit=4)
