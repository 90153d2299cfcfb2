"""Files of a made-up host, as /proc, /sys and /etc hold them."""

from pathlib import Path

from traincost.machine.host import Roots

X86 = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 9654  96-Core Processor
cpu MHz\t\t: 2400.000

processor\t: 1
model name\t: AMD EPYC 9654  96-Core Processor
"""
ARM = """processor\t: 0
BogoMIPS\t: 2000.00
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd4f
CPU revision\t: 0
"""
POWER = "processor\t: 0\ncpu\t\t: POWER9, altivec supported\nclock\t\t: 3800.0MHz\n"
CLOSED_DRIVER = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n"
    "GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)\n"
)
OPEN_DRIVER = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82.07  Release Build  (dvs)\n"
    "GCC version:  gcc version 13.3.0\n"
)


def write_host(root: Path, files: dict[str, str]) -> Roots:
    """Write `proc/...`, `sys/...` and others under `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Roots(proc=root / "proc", sys=root / "sys", root=root)
