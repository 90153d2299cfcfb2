"""Out of memory: what counts as it, and giving the memory back."""

import gc
import sys
import traceback

from traincost.machine.device import Device

_MESSAGES = (
    "can't allocate memory",  # torch's CPU allocator
    "not enough memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "bad_alloc",
)


def is_out_of_memory(error: BaseException) -> bool:
    """True for CUDA's own error, and for the RuntimeErrors that mean the same."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (
        torch is not None and isinstance(error, torch.OutOfMemoryError)
    ):
        return True
    return isinstance(error, RuntimeError) and any(m in str(error) for m in _MESSAGES)


def free_memory_of(error: BaseException, device: Device) -> None:
    """Drop what the frames of the traceback hold, and the allocator's cache."""
    if error.__traceback__ is not None:
        traceback.clear_frames(error.__traceback__)
    gc.collect()
    device.release()
