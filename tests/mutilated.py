"""Result CSVs damaged as disks, editors, spreadsheets and strangers damage them."""

import random

from traincost.data.record import Record

ROWS = [
    Record(
        run_id="r1",
        started_at="2026-11-24T08:00:00+00:00",
        suite="batch",
        case_id=f"batch/step[batch_size={n}]",
        workload="262e46b44260",
        status=status,
        notes='mfu: no peak, "none"; flops: a, b' if n == 2 else None,
        impl="eager",
        device="cpu",
        dtype="fp32",
        batch_size=n,
        time_min_s=0.9e-3 * n,
        time_median_s=1.0123456789e-3 * n,
        samples_per_s=1e3,
        flops=10**9 * n,
        mfu=0.25,
        step_peak_bytes=4096 * n,
        machine_id="195862c489be",
        cpu="AMD EPYC",
        torch="2.13.0+cpu",
        commit="=cmd" if n == 3 else "0123456789ab",
    )
    for n, status in ((1, "ok"), (2, "ok"), (3, "unstable"), (4, "ok"))
]
_CELLS = (
    *("", "nan", "inf", "-1", "0", "1e999", "1_000", " 1", "+1", ".5", "TRUE", "=1+1", "'=1", "x"),
    *(
        '"',
        '""',
        '"a',
        'a"b',
        "9" * 30,
        "1.6E+10",
        "ok",
        "oom",
        "2",
        "é",
        "\t",
        "#N/A",
        "1,5",
        "ms",
    ),
)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _flip(content: bytes, rng: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 3, 20))):
        found[rng.randrange(len(found))] = rng.choice(
            (rng.randrange(256), ord(rng.choice(',"\n\r;')))
        )
    return bytes(found)


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return (
        content[:at]
        + rng.choice((b"\0", b'"', b",", b"\n", b"\r\n", b"\xff", b" ", b"\x1f"))
        + content[at:]
    )


def _cell(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    line = rng.randrange(len(lines))
    cells = lines[line].split(b",")
    cells[rng.randrange(len(cells))] = rng.choice(_CELLS).encode()
    lines[line] = b",".join(cells)
    return b"\n".join(lines)


def _column(content: bytes, rng: random.Random) -> bytes:
    """One column of every line replaced, swapped with another, or taken out."""
    rows = [line.split(b",") for line in content.split(b"\n")]
    a, b = (rng.randrange(len(rows[0])) for _ in range(2))
    kind, text = rng.randrange(3), rng.choice(_CELLS).encode()
    for i, row in enumerate(rows):
        if len(row) <= max(a, b):
            continue
        if kind == 0 and i:
            row[a] = text
        elif kind == 1:
            row[a], row[b] = row[b], row[a]
        elif kind == 2:
            del row[a]
    return b"\n".join(b",".join(row) for row in rows)


def _line(content: bytes, rng: random.Random) -> bytes:
    """A line twice, gone, moved, or another in its place."""
    lines = content.split(b"\n")
    a, b = (rng.randrange(len(lines)) for _ in range(2))
    kind = rng.randrange(4)
    if kind == 0:
        lines.insert(a, lines[b])
    elif kind == 1:
        del lines[a]
    elif kind == 2:
        lines[a], lines[b] = lines[b], lines[a]
    else:
        lines[a] = bytes(rng.randrange(256) for _ in range(rng.randrange(60)))
    return b"\n".join(lines)


def _rename(content: bytes, rng: random.Random) -> bytes:
    name = rng.choice((b"time_median_s", b"schema", b"status", b"case_id", b"mfu"))
    return content.replace(name, rng.choice((b"time_median_ms", b"mfu", b"x", b"", b"Schema")), 1)


def _encode(content: bytes, rng: random.Random) -> bytes:
    text = content.decode(errors="replace")
    return rng.choice(
        (
            text.encode("utf-16"),
            b"\xef\xbb\xbf" + content,
            content.replace(b"\n", b"\r\n"),
            content.replace(b"\n", b"\r"),
            content.replace(b",", b";"),
            content.replace(b".", b","),
            content.replace(b",", b"\t"),
        )
    )


_WAYS = (_cut, _flip, _insert, _cell, _cell, _cell, _column, _line, _rename, _encode)


def mutilate(content: bytes, rng: random.Random) -> bytes:
    """The content after one to three damages."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if content:
            content = rng.choice(_WAYS)(content, rng)
    return content
