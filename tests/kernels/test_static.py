"""What the static cost says of kernels whose faults are known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from traincost_kernels.static.cost import StaticCost
from traincost_kernels.static.pool import WorkerUnavailableError
from traincost_kernels.static.run import StaticRun
from traincost_kernels.static.subject import Subject, entries


def sample(kernel: str, n_cols: int = 4096, dtype: str = "bf16") -> Subject:
    """One of the kernels of `static_samples.py`."""
    return Subject(kernel, dtype, n_cols, catalog="static_samples")


SPILLS, FITS = sample("softmax", 65_536, "fp32"), sample("softmax", 4096, "fp32")
SAMPLES = (
    *(sample(name) for name in ("masked_copy", "tail_apart", "reads_twice", "adds_atomically")),
    *(sample(name, 4099) for name in ("masked_copy", "tail_apart")),
    sample("scales_by_weight", 128),
    SPILLS,
    FITS,
)


@pytest.fixture(scope="module")
def samples() -> Iterator[StaticRun]:
    with StaticRun([(s, "sm_90") for s in SAMPLES], workers=2) as run:
        yield run


def forward(run: StaticRun, subject: Subject) -> StaticCost:
    return run.cost(subject, "forward", "sm_90")


@pytest.mark.thorough
def test_a_kernel_that_spills_is_reported_as_spilling(samples: StaticRun) -> None:
    assert forward(samples, SPILLS).spill_bytes > 0
    assert forward(samples, FITS).spill_bytes == 0


def test_a_kernel_masked_by_element_loses_its_width_in_odd_sizes_alone(samples: StaticRun) -> None:
    aligned, odd = (forward(samples, sample("masked_copy", n)) for n in (4096, 4099))
    assert (aligned.loads.main_bytes, aligned.stores.main_bytes) == (16, 16)
    assert (odd.loads.main_bytes, odd.stores.main_bytes) == (2, 2)
    assert odd.loads.full_share == 0.0


def test_a_tail_apart_does_not_hide_the_width_of_the_main_path(samples: StaticRun) -> None:
    odd = forward(samples, sample("tail_apart", 4099))
    assert odd.loads.main_bytes == odd.loads.widest_bytes == 16
    assert odd.loads.narrowest_bytes == 2
    assert odd.loads.full_share is not None
    assert 0.99 < odd.loads.full_share < 1.0


def test_an_extra_read_is_counted_and_contradicts_the_declaration(samples: StaticRun) -> None:
    cost = forward(samples, sample("reads_twice"))
    assert cost.moved is not None
    assert cost.moved.bytes_per_element == 6.0, "two reads and a write of 2 bytes"
    assert cost.moved.least_per_element == 4.0
    assert cost.miscounted is not None
    assert "declares 65536 bytes and moves 98304" in cost.miscounted


def test_a_right_declaration_is_not_contradicted(samples: StaticRun) -> None:
    cost = forward(samples, sample("tail_apart", 4099))
    assert cost.miscounted is None
    assert cost.moved is not None
    assert cost.moved.bytes_per_element == cost.moved.least_per_element == 4.0


def test_what_every_program_reads_is_moved_once_and_requested_each_time(
    samples: StaticRun,
) -> None:
    cost = forward(samples, sample("scales_by_weight", 128))
    assert cost.moved is not None
    assert cost.moved.bytes_per_element == 4.0 + 2.0 / 4096
    assert cost.moved.requested_per_element == 6.0
    assert cost.miscounted is None


def test_atomics_are_seen(samples: StaticRun) -> None:
    assert forward(samples, sample("adds_atomically")).atomics > 0
    assert forward(samples, sample("tail_apart")).atomics == 0


def test_a_phase_without_a_kernel_says_so(samples: StaticRun) -> None:
    with pytest.raises(WorkerUnavailableError, match="launches no Triton kernel in backward"):
        samples.cost(sample("softmax", 4096, "fp32"), "backward", "sm_90")


@pytest.mark.thorough
def test_two_runs_agree_in_every_number(samples: StaticRun) -> None:
    with StaticRun([(FITS, "sm_90")], workers=1) as again:
        assert forward(again, FITS) == forward(samples, FITS)


@pytest.mark.thorough
def test_every_target_is_compiled_in_a_process_that_may_have_the_interpreter_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    subject = sample("tail_apart")
    targets = ("sm_80", "sm_90", "sm_100")
    with StaticRun([(subject, arch) for arch in targets], workers=1) as run:
        costs = [run.cost(subject, "backward", arch) for arch in targets]
    assert [c.binaries[0].arch for c in costs] == list(targets)
    assert {c.binaries[0].name for c in costs} == {"relu_squared_backward"}
    assert {c.binaries[0].num_warps for c in costs} == {4}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
@pytest.mark.parametrize("n_cols", [96, 1031])
def test_every_launcher_declares_the_bytes_that_its_kernels_move(dtype: str, n_cols: int) -> None:
    subjects = [Subject(name, dtype, n_cols) for name in entries()]
    with StaticRun([], workers=2) as run:
        counted = {s: run.pool.submit("count", s) for s in subjects}
        wrong = {
            (s.kernel, phase): [(c.declared_bytes, c.total.moved_bytes) for c in counts.counted]
            for s, future in counted.items()
            for phase, counts in future.result().items()
            for c in counts.counted
            if c.declared_bytes != c.total.moved_bytes
        }
    assert not wrong
