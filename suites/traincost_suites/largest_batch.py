"""The largest batch that fits, by doubling and bisection.

The search knows nothing of models: it asks `fits(batch)`. `fits_in_memory` makes such a question of
a run that may exhaust memory, and gives back what the run held when it does.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable

import torch

from traincost.machine.oom import is_out_of_memory


def largest_batch(fits: Callable[[int], bool], *, limit: int) -> int | None:
    """The largest n up to `limit` for which `fits(n)`, given that all smaller ones fit too.

    None where not even 1 fits. About 2 log2(n) questions, the first ones cheap.
    """
    if limit < 1:
        raise ValueError(f"limit {limit}: expected 1 at least")
    good, bad = 0, limit + 1
    probe = 1
    while probe < bad:
        if not fits(probe):
            bad = probe
            break
        good = probe
        probe = min(probe * 2, limit) if probe < limit else bad
    while bad - good > 1:
        middle = (good + bad) // 2
        if fits(middle):
            good = middle
        else:
            bad = middle
    return good or None


def fits_in_memory(
    run: Callable[[int], None], release: Callable[[], None]
) -> Callable[[int], bool]:
    """`fits` of a run that runs out of memory where it does not fit.

    The error's traceback keeps every frame of the run alive, and with them all its tensors: its
    frames are cleared before memory is given back, else the next question starts with a full
    device.
    """

    def fits(batch: int) -> bool:
        try:
            run(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)
            return False
        finally:
            gc.collect()
            release()
        return True

    return fits


def release_accelerator() -> None:
    """Give the caching allocator's free blocks back to the driver; nothing where there is none."""
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
