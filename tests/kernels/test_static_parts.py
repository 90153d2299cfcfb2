"""The parts of the static cost that are formulas or readers."""

from __future__ import annotations

from pathlib import Path

import pytest

from traincost_kernels.static.__main__ import main
from traincost_kernels.static.architecture import ARCHITECTURES, occupancy
from traincost_kernels.static.ptx import parse_ptx
from traincost_kernels.static.resources import CompilerLogError, parse_log
from traincost_kernels.static.source import Statement, stands_at, statement_at

LOG = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'k' for 'sm_90a'
ptxas info    : Function properties for k
    192 bytes stack frame, 240 bytes spill stores, 276 bytes spill loads
ptxas info    : Used 64 registers, used 1 barriers, 192 bytes cumulative stack size
"""

PTX = """.visible .entry k(
\t.param .u64 k_param_0
)
.reqntid 128
{
\t.reg .b32 \t%r<5>;
\t.loc\t1 15 0                          // k.py:15:0
// %bb.0:
\tld.param.b64 \t%rd1, [k_param_0];
\t.loc\t1 9 20                          // tile.py:9:20 @[ k.py:21:35 ]
\t// begin inline asm
\tmov.u16 %rs1, 0x0;
\t@%p2 ld.global.L1::evict_last.b16 { %rs1 }, [ %rd1 + 0 ];
\t// end inline asm
$L__BB0_1:
\tld.global.v4.b32 { %r1, %r2, %r3, %r4 }, [ %rd1 + 0 ];
\tcp.async.cg.shared.global [ %r1 + 0 ], [ %rd1 + 0 ], 0x10, %r2;
\tld.shared.b32 %r1, [%r2];
\tst.global.v2.f64 [ %rd1 + 0 ], { %r1, %r2 };
\tred.global.add.f32 [%rd1], %r1;
\tatom.global.gpu.acq_rel.add.noftz.bf16 %rs1, [%rd1], %rs2;
\tret;
}
\t.section\t.debug_abbrev
"""


@pytest.mark.parametrize(
    ("arch", "registers", "shared_bytes", "num_warps", "share"),
    [
        ("sm_90", 32, 0, 4, 1.0),  # 16 blocks by warps
        ("sm_90", 33, 0, 4, 0.75),  # 1,280 registers a warp: 12 warps in each quarter
        ("sm_90", 255, 0, 4, 0.125),  # 8,192 a warp: 2 in each quarter
        ("sm_90", 65, 0, 32, 0.0),  # 2,304 a warp, 73,728 a block: more than there are
        ("sm_90", 32, 0, 1, 0.5),  # 32 blocks at most
        ("sm_80", 32, 100 * 1024, 4, 1 / 16),  # one block of 101 KiB in 164
        ("sm_90", 32, 100 * 1024, 4, 2 / 16),  # two in 228
        ("sm_100", 32, 228 * 1024, 4, 0.0),
    ],
)
def test_occupancy_is_that_of_the_scarcest_resource(
    arch: str, registers: int, shared_bytes: int, num_warps: int, share: float
) -> None:
    found = occupancy(
        ARCHITECTURES[arch], registers=registers, shared_bytes=shared_bytes, num_warps=num_warps
    )
    assert found == share


def test_spills_are_read_from_the_log_of_the_assembler() -> None:
    resources = parse_log(LOG)
    assert resources.registers == 64
    assert resources.stack_bytes == 192
    assert resources.spill_bytes == 240 + 276


@pytest.mark.parametrize("log", ["", LOG.replace("Used", "Took"), LOG.replace("spill", "lost")])
def test_a_log_of_another_form_is_an_error_and_no_zero(log: str) -> None:
    with pytest.raises(CompilerLogError, match="expected one 'Used N registers'"):
        parse_log(log)


def test_accesses_to_global_memory_are_read_with_their_width_and_origin() -> None:
    ptx = parse_ptx(PTX)
    assert [(a.kind, a.width_bytes) for a in ptx.accesses] == [
        ("load", 2),
        ("load", 16),
        ("load", 16),
        ("store", 16),
        ("atomic", 4),
        ("atomic", 2),
    ]
    assert ptx.accesses[0].site == (("tile.py", 9), ("k.py", 21))


def test_instructions_are_counted_and_nothing_else() -> None:
    assert parse_ptx(PTX).instructions == 10


def test_a_call_over_several_lines_is_one_statement() -> None:
    lines = Path(__file__).read_text().splitlines()
    first = next(i for i, line in enumerate(lines, 1) if "found = occupancy(" in line)
    statement = statement_at(__file__, first + 1)
    assert statement == Statement("test_static_parts.py", first, first + 2)
    assert stands_at((("test_static_parts.py", first + 1),), (statement,))
    assert not stands_at((("test_static_parts.py", first + 3),), (statement,))


def test_the_head_of_a_loop_is_told_from_its_body() -> None:
    lines = Path(__file__).read_text().splitlines()
    head = next(i for i, line in enumerate(lines, 1) if line.startswith("def test_the_head_of"))
    assert statement_at(__file__, head).last_line == head
    assert statement_at(__file__, head + 1).first_line == head + 1


@pytest.mark.parametrize("n_cols", ["0", "-8", "4.5", "many"])
def test_a_row_length_that_is_none_is_refused(
    n_cols: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--n-cols", n_cols])
    assert ended.value.code == 2
    assert "--n-cols" in (said := capsys.readouterr().err)
    assert n_cols == "-8" or f"'{n_cols}', expected a whole number from 1" in said
