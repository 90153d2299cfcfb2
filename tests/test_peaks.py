"""Datasheet and measured peaks: exact names, dense rates, one source a row."""

from datetime import date
from typing import Any

import pytest

from traincost.data.record import Record
from traincost.machine.peaks import Peak, datasheet, figures, measured, peak_for

GPUS = sorted({gpu for gpu, _ in figures()})


def row(case_id: str, **columns: Any) -> Record:
    known: dict[str, Any] = {
        "run_id": "r",
        "started_at": "2026-11-24T00:00:00+00:00",
        "suite": "machine",
        "machine_id": "here",
        "device": "cpu",
        "dtype": "fp32",
    }
    known |= {"case_id": case_id, **columns}
    return Record(**known)


def test_every_row_of_the_table_holds_one_figure_with_document_and_date() -> None:
    for figure in figures().values():
        is_rate = figure.dtype is not None
        assert (figure.flops_per_s is not None) == is_rate
        assert (figure.bytes_per_s is None) == is_rate
        assert figure.source
        assert figure.url.startswith("https://")
        assert figure.read_in in ("copy", "secondary")
        assert date.fromisoformat(figure.checked) <= date(2100, 1, 1)


@pytest.mark.parametrize("gpu", GPUS)
def test_every_gpu_has_its_bandwidth_and_fp32_in_plausible_si_units(gpu: str) -> None:
    peak = datasheet(gpu, "fp32", "ieee")
    assert peak is not None
    assert peak.flops_per_s is not None
    assert peak.bytes_per_s is not None
    assert 5e12 < peak.flops_per_s < 1e15
    assert 2e11 < peak.bytes_per_s < 1e13


@pytest.mark.parametrize("gpu", GPUS)
def test_rates_are_dense_so_each_halving_of_the_width_doubles_them(gpu: str) -> None:
    # A sparse figure among dense ones is off by 2. Makers round: B200's TF32 is 2.3% off.
    rates = {dtype: f.flops_per_s for (name, dtype), f in figures().items() if name == gpu}
    fp16, bf16, tf32, fp8 = (rates.get(dtype) for dtype in ("fp16", "bf16", "tf32", "fp8"))
    assert fp16 is not None
    if bf16 is not None:
        assert bf16 == fp16
    if tf32 is not None:
        assert 2 * tf32 == pytest.approx(fp16, rel=0.03)
    if fp8 is not None:
        assert fp8 == pytest.approx(2 * fp16, rel=0.03)


def test_names_match_exactly_so_an_l40s_is_no_l40_and_no_l4() -> None:
    rates = [datasheet(f"NVIDIA {name}", "bf16", None) for name in ("L4", "L40", "L40S")]
    assert [peak.flops_per_s for peak in rates if peak] == [121e12, 181.05e12, 362.05e12]


@pytest.mark.parametrize(
    "gpu", ["L40S", "NVIDIA L40S ", "nvidia l40s", "NVIDIA L40S-48Q", "NVIDIA H100", "", "AMD EPYC"]
)
def test_a_gpu_that_is_not_in_the_table_has_no_datasheet_peak(gpu: str) -> None:
    assert datasheet(gpu, "bf16", None) is None


def test_a_dtype_without_a_figure_leaves_the_bandwidth() -> None:
    assert datasheet("Tesla T4", "bf16", None) == Peak(None, 320e9, "datasheet")


def test_tf32_is_the_peak_of_fp32_rows_under_tf32_only() -> None:
    h100 = "NVIDIA H100 80GB HBM3"
    rates = {
        key: (datasheet(h100, *key) or Peak(None, None, "datasheet")).flops_per_s
        for key in [("fp32", "ieee"), ("fp32", None), ("fp32", "tf32"), ("bf16", "tf32")]
    }
    assert list(rates.values()) == [66.9e12, 66.9e12, 494.7e12, 989.4e12]


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_autocast_has_the_peak_of_the_dtype_it_casts_to(dtype: str) -> None:
    gpu = "NVIDIA A100-SXM4-80GB"
    assert datasheet(gpu, f"autocast-{dtype}", None) == datasheet(gpu, dtype, None)
    rows = [row(f"machine/matmul[dtype={dtype}]", dtype=dtype, flops=5 * 10**10, time_min_s=1.0)]
    assert measured(rows, "here", "cpu", f"autocast-{dtype}", None) == Peak(5e10, None, "measured")


def test_the_measured_peak_is_the_highest_rate_of_products_and_of_copies() -> None:
    rows = [
        row("machine/matmul[n=256]", flops=1 * 10**11, time_min_s=1.0, traffic_bytes=10**12),
        row("machine/matmul[n=2048]", flops=3 * 10**11, time_min_s=1.0, status="unstable"),
        row("machine/copy[n=8]", traffic_bytes=8 * 10**6, time_min_s=1e-3, dtype="uint8"),
        row("machine/copy[n=64]", traffic_bytes=64 * 10**6, time_min_s=4e-3),
        row("machine/dispatch", flops=9 * 10**12, time_min_s=1.0),
    ]
    assert measured(rows, "here", "cpu", "fp32", "ieee") == Peak(3e11, 16e9, "measured")


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"machine_id": "there"},
        {"machine_id": None},
        {"device": "cuda"},
        {"dtype": "bf16"},
        {"matmul_precision": "tf32"},
        {"status": "throttled"},
        {"status": "error"},
        {"suite": "parameters"},
        {"case_id": "kernels/matmul"},
        {"flops": None},
    ],
)
def test_rows_of_other_machines_devices_dtypes_and_failures_do_not_count(
    elsewhere: dict[str, Any],
) -> None:
    columns: dict[str, Any] = {
        "case_id": "machine/matmul",
        "flops": 10**12,
        "time_min_s": 1.0,
        **elsewhere,
    }
    assert measured([row(**columns)], "here", "cpu", "fp32", "ieee") is None


def test_the_datasheet_wins_where_it_knows_the_dtype() -> None:
    rows = [row("machine/matmul", device="cuda", dtype="bf16", flops=8 * 10**14, time_min_s=1.0)]
    peak = peak_for("NVIDIA H200", "bf16", None, rows=rows, machine_id="here", device="cuda")
    assert peak == Peak(989.5e12, 4800e9, "datasheet")


def test_both_figures_of_a_peak_come_from_one_source() -> None:
    # The T4's datasheet has no bf16 rate, the measured rows have no copy.
    rows = [row("machine/matmul", device="cuda", dtype="bf16", flops=2 * 10**12, time_min_s=1.0)]
    peak = peak_for("Tesla T4", "bf16", None, rows=rows, machine_id="here", device="cuda")
    assert peak == Peak(2e12, None, "measured")


def test_with_no_rate_from_either_the_datasheets_bandwidth_remains() -> None:
    copy = row("machine/copy", device="cuda", traffic_bytes=10**9, time_min_s=1e-2)
    peak = peak_for("Tesla T4", "bf16", None, rows=[copy], machine_id="here", device="cuda")
    assert peak == Peak(None, 320e9, "datasheet")


def test_a_device_known_to_neither_has_no_peak() -> None:
    assert peak_for(None, "fp32", "ieee") is None
    assert peak_for("NVIDIA X1", "fp32", "ieee", machine_id="here", device="cuda") is None
