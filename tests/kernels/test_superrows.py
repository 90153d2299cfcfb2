"""How a matrix with a vector along its rows is cut."""

import pytest

from traincost_kernels.superrows import PROGRAMS, cut, rows_put_together


@pytest.mark.parametrize("n_cols", [*range(1, 70), 768, 1000, 1031, 4096, 131_072])
def test_super_rows_are_whole_rows_and_start_at_16_elements(n_cols: int) -> None:
    period = rows_put_together(n_cols, 1024) * n_cols
    assert period % 16 == 0
    assert period >= 1024


def test_little_of_the_last_block_is_wasted() -> None:
    examples = {4096: 1, 768: 4, 1031: 16, 1: 1024}
    assert {n_cols: rows_put_together(n_cols, 1024) for n_cols in examples} == examples


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("n_elements", [0, 1, 4096, 10_000_001, 10**9])
def test_every_super_row_has_a_group_and_no_group_is_idle(n_elements: int, backward: bool) -> None:
    rows = cut(n_elements, 4096, 1024, backward=backward)
    assert rows.n_groups <= -(-n_elements // rows.period)
    assert (rows.n_groups > 0) == (n_elements > 0)


def test_partial_sums_stay_few_whatever_the_number_of_rows() -> None:
    rows = cut(2**34, 4096, 1024, backward=True)
    assert rows.n_groups * (rows.period // rows.block) == PROGRAMS
