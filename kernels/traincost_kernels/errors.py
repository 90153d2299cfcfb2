"""What the kernels refuse, told apart by whose mistake it is."""


class KernelInputError(ValueError):
    """An argument that the op does not take; the message names op, argument, value, expectation."""


class NoDeviceError(RuntimeError):
    """Tensors on a device that Triton cannot compile for, outside Triton's interpreter."""


class InterpreterVersionsError(RuntimeError):
    """Triton's interpreter, and a numpy that it does not work with."""


class TransformError(RuntimeError):
    """A derivative by forward mode or torch.func, which the fused kernels do not have."""


class SecondDerivativeError(RuntimeError):
    """A derivative of a derivative, which the fused kernels do not have."""
