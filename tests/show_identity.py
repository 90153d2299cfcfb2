"""Every order of four GPUs in NVML, every form of CUDA_VISIBLE_DEVICES: is it the right GPU?

    python tests/show_identity.py

Each GPU of the stub draws another power, so that a handle tells which GPU it truly is.
"""

import sys
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "bench")]

from stub_nvml import UUIDS, loaded, pynvml  # noqa: E402
from test_gpu import FORMS, GPUS, PERMUTATIONS, VIRTUAL, power_w  # noqa: E402

from traincost.instruments.gpu import list_gpus, open_gpu  # noqa: E402
from traincost.instruments.visible import visible  # noqa: E402


def main() -> None:
    """Print a line a form."""
    right = dict.fromkeys(FORMS, 0)
    for order in PERMUTATIONS:
        with loaded(replace(VIRTUAL, gpus=tuple(GPUS[i] for i in order))) as stub:
            stub.set_time_s(10.0)
            pynvml.nvmlInit()
            listed = list_gpus(pynvml)
            for text, shown in FORMS.items():
                env = {} if text is None else {"CUDA_VISIBLE_DEVICES": text}
                found = visible(listed, env)
                powers_w = [power_w(open_gpu(pynvml, uuid)) for uuid in found.uuids]
                right[text] += powers_w == [100.0 * (i + 1) for i in shown]
    print(f"{len(PERMUTATIONS)} orders of 4 GPUs, named by the start of their UUID")
    for text, shown in FORMS.items():
        expected = " ".join(UUIDS[i][:5] for i in shown) or "none"
        form = "not set" if text is None else repr(text)
        print(f"{form:<90.90} {expected:<24} right {right[text]} of {len(PERMUTATIONS)}")
    wrong = sum(len(PERMUTATIONS) - count for count in right.values())
    print(f"wrong devices: {wrong} of {len(PERMUTATIONS) * len(FORMS)}")


if __name__ == "__main__":
    main()
