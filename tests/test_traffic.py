"""Bytes moved: the closed form of an MLP step, and each rule of the account by itself."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
import torch
from closed_forms import MlpTraffic
from torch import Tensor, nn
from torch.nn import functional

from traincost.instruments.arithmetic import count
from traincost.instruments.footprint import footprint_bytes, region_of

N = 100
FP32 = 4
OPS: list[tuple[Callable[[Tensor], object], int]] = [
    (lambda x: x + x, N + N),  # one argument twice is one memory
    (lambda x: x + x.expand(7, N), N + 7 * N),  # an expanded dimension is there once
    (lambda x: x.add_(1), 2 * N),
    (lambda x: x.zero_(), N),
    (lambda x: x.fill_(2.0), N),
    (lambda x: x.uniform_(), N),
    (lambda x: x.copy_(torch.ones(N)), N + 2 * N),
    (lambda x: torch.add(x, x, out=torch.empty(N)), 2 * N),
    (lambda x: torch.zeros_like(x), N),
    (lambda x: x.new_ones(3), 3),
    (lambda x: torch.ops.aten._foreach_add_([x, x[:0]], 1.0), 2 * N),
    (lambda x: torch.cat([x, x[: N // 2]]), N + N + N // 2),
    (lambda x: x[::2] + 1, N // 2 + N // 2),  # a strided view: the elements that it has
    (lambda x: x[::2].expand(7, -1) + 1, N // 2 + 7 * N // 2),
]


def ops_bytes(op: Callable[[], object]) -> int:
    return count(op, phase="forward").ops_bytes


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("widths", [(5, 3), (5, 8, 3), (16, 32, 8, 10)])
def test_bytes_of_an_mlp_step_equal_the_closed_form(widths: tuple[int, ...], foreach: bool) -> None:
    pairs = list(pairwise(widths))
    layers = [layer for n_in, n_out in pairs for layer in (nn.Linear(n_in, n_out), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, foreach=foreach)
    x, labels = torch.randn(7, widths[0]), torch.zeros(7, dtype=torch.long)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    expected = MlpTraffic(rows=7, widths=widths)
    counted = count(step, phase="step")
    assert counted.ops_bytes == expected.ops_bytes()
    assert counted.compulsory_bytes == expected.compulsory_bytes()
    n_layers = len(pairs)
    # addmm and relu, but no last relu; four and ones_like for the loss; mm (dW), sum, mm (dX) and
    # threshold a layer, but the last two not for the first.
    updates = 1 if foreach else 2 * n_layers
    assert counted.aten_ops == (2 * n_layers - 1) + 5 + (4 * n_layers - 2) + updates


def test_views_and_allocations_are_no_ops_and_move_nothing() -> None:
    x = torch.randn(N, N)

    def step() -> list[Tensor]:
        rows = x.t().view(N, N)[3:].unsqueeze(0).expand(5, -1, -1)
        return [rows, torch.empty(N), torch.empty_like(x), x.new_empty(3), *x.unsafe_chunk(2)]

    counted = count(step, phase="forward")
    assert (counted.aten_ops, counted.ops_bytes) == (0, 0)


@pytest.mark.parametrize(("op", "floats"), OPS)
def test_an_op_moves_its_inputs_and_outputs_once(
    op: Callable[[Tensor], object], floats: int
) -> None:
    x = torch.randn(N)
    assert ops_bytes(lambda: op(x)) == floats * FP32


def test_a_lookup_reads_what_it_returns_not_the_whole_table() -> None:
    table, rows = torch.randn(1000, 8), torch.tensor([3, 5, 3])
    counted = count(lambda: functional.embedding(rows, table), phase="forward")
    looked_up = 3 * 8 * FP32
    assert counted.ops_bytes == 2 * looked_up + rows.nbytes
    assert counted.compulsory_bytes == 2 * looked_up + rows.nbytes


def test_memory_that_the_step_frees_is_not_compulsory() -> None:
    x = torch.randn(N)

    def free() -> None:
        cycle: list[object] = [x * 2 * 3]
        cycle.append(cycle)

    freed = count(free, phase="forward")
    kept = count(lambda: x * 2 * 3, phase="forward")
    assert freed.compulsory_bytes == N * FP32
    assert kept.compulsory_bytes == 2 * N * FP32


def test_a_parameter_read_and_written_many_times_is_compulsory_once() -> None:
    x = torch.randn(N)

    def step() -> None:
        for _ in range(5):
            x.mul_(2).add_(1)

    assert count(step, phase="forward").compulsory_bytes == N * FP32


def test_only_the_touched_part_of_a_storage_is_compulsory() -> None:
    data = torch.randn(1000, 8)

    def step() -> None:
        for start in (0, 10, 15):  # 10:20 and 15:25 overlap
            data[start : start + 10].add_(1)

    assert count(step, phase="forward").compulsory_bytes == 25 * 8 * FP32


def test_a_reused_address_does_not_make_a_new_storage_an_old_one() -> None:
    def step() -> Tensor:
        kept = torch.ones(N)
        for _ in range(50):
            kept = kept + 1  # each round frees one storage and makes another
        return kept

    assert count(step, phase="forward").compulsory_bytes == N * FP32


def test_a_buffer_that_an_op_keeps_and_returns_was_not_made_in_the_step() -> None:
    library = cast(Any, torch.library.Library)("traincost_tests_kept", "DEF")  # untyped in torch
    library.define("kept() -> Tensor")
    buffer = torch.randn(N)
    library.impl("kept", lambda: buffer, "CompositeExplicitAutograd")

    def step() -> Tensor:
        buffer.add_(1)
        kept: Tensor = torch.ops.traincost_tests_kept.kept()
        return kept

    assert count(step, phase="forward").compulsory_bytes == N * FP32


def test_memory_found_and_freed_counts_beside_what_takes_its_place() -> None:
    batches = [torch.randn(N)]

    def step() -> list[Tensor]:
        total = batches.pop().sum()
        return [total + i for i in range(50)]  # one of them may get the batch's address

    assert count(step, phase="forward").compulsory_bytes == (N + 50) * FP32


def test_optimizer_state_made_in_the_step_is_left_behind() -> None:
    p = nn.Parameter(torch.randn(N))
    p.grad = torch.randn(N)
    optimizer = torch.optim.Adam([p], foreach=False)
    counted = count(optimizer.step, phase="optimizer")
    step_counter = FP32
    assert counted.compulsory_bytes == 4 * N * FP32 + step_counter


def test_the_footprint_of_interleaved_slices_is_their_sum_and_of_nested_ones_their_span() -> None:
    x = torch.empty(4, 30)
    thirds = [region_of(part) for part in x.chunk(3, dim=1)]
    assert footprint_bytes(thirds) == x.nbytes
    assert footprint_bytes(thirds[:1]) == x.nbytes // 3
    assert footprint_bytes([region_of(x), region_of(x.t()), thirds[0]]) == x.nbytes
    assert footprint_bytes([region_of(x[:1]), region_of(x[3:])]) == x.nbytes // 2
    assert footprint_bytes([region_of(x[:0])]) == 0
    windows = torch.empty(10).unfold(0, 4, 1)  # 7 windows over 10 elements
    assert footprint_bytes([region_of(windows)]) == 10 * FP32


def test_sparse_gradients_count_their_indices_and_values() -> None:
    indices, values = torch.tensor([[1, 3]]), torch.ones(2, 8)
    sparse = torch.sparse_coo_tensor(indices, values, (1000, 8), check_invariants=False)
    assert ops_bytes(lambda: sparse.neg()) == 2 * (indices.nbytes + values.nbytes)


def test_an_op_of_a_library_moves_its_arguments_and_results() -> None:
    @torch.library.custom_op("traincost_tests::twice", mutates_args=())
    def twice(x: Tensor) -> Tensor:
        return (x + 1) * 2 - 2

    counted = count(lambda: twice(torch.ones(N)), phase="forward")
    assert counted.ops_bytes == N * FP32 + 2 * N * FP32  # the ones, then the op
    assert counted.notes["flops"] == "no formula for traincost_tests.twice"


def test_meta_tensors_have_bytes_too() -> None:
    x = torch.empty(N, device="meta")
    assert ops_bytes(lambda: x * 2) == 2 * N * FP32
