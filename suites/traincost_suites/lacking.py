"""The error of an implementation that is not to be had here; it needs no Triton to be imported."""


class ImplUnavailableError(RuntimeError):
    """This machine, or this op, has no such implementation; the text says why."""
