"""Rows of one and two CPU ranks against closed forms: bytes sent, memory held, losses.

N parameters of 4 bytes are P bytes; n is the number of ranks. The model's blocks have B of them.
Ring: an all-reduce of S bytes sends 2(n-1)/n S from each rank, an all-gather to S bytes or a
reduce-scatter of them (n-1)/n S, a broadcast S.
"""

from collections.abc import Iterator, Mapping

import pytest
from rank_orders import order

from traincost.data.record import Record
from traincost.parallel.ranks import LocalRanks
from traincost_suites.models.gpt import SIZES, Gpt
from traincost_suites.parallel.strategies import STRATEGIES

pytestmark = pytest.mark.slow

CONFIG = SIZES["10k"]
BATCH, SEQ, RANKS, FP32 = 8, 128, 2, 4
P = CONFIG.n_params * FP32
D, LAYERS = CONFIG.width, CONFIG.n_layers
BLOCKS = LAYERS * (12 * D * D + 4 * D) * FP32
HALVED = LAYERS * 8 * D * D * FP32  # feed-forward layers
TENSORS = len(list(Gpt(CONFIG).parameters()))  # each has a step counter in AdamW's state
COUNTERS = TENSORS * FP32
ACTIVATIONS = BATCH * SEQ * D * FP32

PAYLOAD: Mapping[str, int] = {  # logical bytes of a step's collectives
    "ddp": P,
    "ddp-small-buckets": P,
    "ddp-view": P,
    "ddp-bf16": P // 2,
    "zero1": P + P,  # all-reduce of gradients, broadcast of each rank's parameters
    "fsdp": P + BLOCKS + P,  # gather for forward, blocks again for backward; reduce-scatter
    "fsdp-keep": P + P,
    "fsdp-bf16": P // 2 + BLOCKS // 2 + P,
    "tensor": 2 * LAYERS * ACTIVATIONS,  # a feed-forward layer's output, its input's gradient
}
BUS: Mapping[str, float] = {  # what each rank sends, as rings
    **{name: 2 * (RANKS - 1) / RANKS * PAYLOAD[name] for name in PAYLOAD if "fsdp" not in name},
    **{name: (RANKS - 1) / RANKS * PAYLOAD[name] for name in PAYLOAD if "fsdp" in name},
    "zero1": 2 * (RANKS - 1) / RANKS * P + P,
}
LIVE: Mapping[str, int] = {  # parameters, gradients, two moments, on the fullest rank
    "single": 4 * P + COUNTERS,
    "ddp": 5 * P + COUNTERS,  # and the buckets
    "ddp-small-buckets": 5 * P + COUNTERS,
    "ddp-view": 4 * P + COUNTERS,
    "ddp-bf16": 5 * P + COUNTERS,
    "fsdp": 4 * P // RANKS + COUNTERS,
    "fsdp-keep": 4 * P // RANKS + COUNTERS,
    "fsdp-bf16": 4 * P // RANKS + COUNTERS,
    "tensor": 4 * (P - HALVED + HALVED // RANKS) + COUNTERS,
}
WORLD = {name: 1 if name == "single" else RANKS for name in STRATEGIES}


@pytest.fixture(scope="module")
def rows() -> Iterator[Mapping[str, Record]]:
    """A row of every strategy, all from one launch of the ranks."""
    ranks = LocalRanks()
    found: dict[str, Record] = {}
    started: set[int] = set()
    for name in STRATEGIES:
        outcome = ranks.run(order(name, WORLD[name], batch_size=BATCH))
        assert outcome.record is not None, f"{name}: {outcome.error}"
        found[name] = outcome.record
        started |= {process.pid for process in ranks.processes}
    assert len(started) == RANKS
    yield found
    ranks.close()


@pytest.mark.parametrize("name", PAYLOAD)
def test_the_bytes_counted_are_those_of_the_closed_form(
    rows: Mapping[str, Record], name: str
) -> None:
    assert rows[name].metrics["comm_payload_bytes"] == PAYLOAD[name]
    assert rows[name].metrics["comm_bus_bytes"] == BUS[name]


def test_one_rank_sends_nothing(rows: Mapping[str, Record]) -> None:
    metrics = rows["single"].metrics
    assert (metrics["comm_calls"], metrics["comm_bus_bytes"], metrics["comm_time_s"]) == (0, 0, 0)
    assert "comm_bus_bytes_per_s" not in metrics


@pytest.mark.parametrize("name", LIVE)
def test_a_rank_holds_what_theory_says(rows: Mapping[str, Record], name: str) -> None:
    assert rows[name].live_before_bytes == LIVE[name]


def test_zero1_keeps_one_copy_of_the_optimizers_state_on_all_ranks_together(
    rows: Mapping[str, Record],
) -> None:
    together = rows["zero1"].metrics["all_ranks_live_bytes"]
    assert together == RANKS * 2 * P + 2 * P + COUNTERS  # parameters and gradients; state
    live = rows["zero1"].live_before_bytes
    assert live is not None
    assert live < LIVE["ddp-view"]


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "single"])
def test_the_losses_are_those_of_one_rank(rows: Mapping[str, Record], name: str) -> None:
    """To what rounding does in 8 steps: 4e-8 by sums in another order, 2e-5 by products in bf16."""
    one, row = rows["single"], rows[name]
    tolerance = 1e-4 if name == "fsdp-bf16" else 1e-5
    assert row.loss_steps == one.loss_steps == 8
    assert row.loss_first == pytest.approx(one.loss_first, rel=tolerance)
    assert row.loss_last == pytest.approx(one.loss_last, rel=tolerance)
    assert one.loss_last is not None
    assert one.loss_first is not None
    assert one.loss_last < one.loss_first


@pytest.mark.parametrize("name", ["ddp", "zero1", "fsdp"])
def test_the_arithmetic_of_all_ranks_is_that_of_one(rows: Mapping[str, Record], name: str) -> None:
    assert rows[name].flops == rows["single"].flops
    assert rows[name].model_flops == rows["single"].model_flops
    assert rows[name].n_params == CONFIG.n_params


def test_what_every_rank_computes_counts_as_often_and_has_no_model_flops(
    rows: Mapping[str, Record],
) -> None:
    one, row = rows["single"].flops, rows["tensor"].flops
    assert one is not None
    assert row is not None
    assert one < row < RANKS * one
    assert rows["tensor"].model_flops is None
    assert "model_flops: part of the model" in str(rows["tensor"].notes)


def test_a_row_has_the_samples_of_all_ranks(rows: Mapping[str, Record]) -> None:
    for row in rows.values():
        assert row.samples_per_s is not None
        assert row.time_median_s is not None
        assert row.samples_per_s * row.time_median_s == pytest.approx(BATCH)
