"""A child process that compiles, or counts: `python -m traincost_kernels.static.worker compile`.

Whether kernels are compiled or interpreted is decided when triton is imported, so each of the two
needs its own process, and neither may be that of the caller. Requests and answers are pickled, over
stdin and stdout; what triton prints goes to stderr.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from typing import Any

from traincost_kernels.liger import PeerUnavailableError
from traincost_kernels.static.measure import Failure, compile_subject, count_subject


def answer(mode: str, request: Any) -> object:
    """Compile or count what is asked for; what is raised is handed over."""
    try:
        if mode == "compile":
            return compile_subject(*request)
        return count_subject(*request)
    except Exception as e:
        reason = f"{type(e).__name__}: {e}"
        return Failure(reason, isinstance(e, PeerUnavailableError), traceback.format_exc())


def main() -> None:
    """Answer requests until stdin ends."""
    mode = sys.argv[1]
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        while True:
            try:
                request = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            pickle.dump(answer(mode, request), out)
            out.flush()


if __name__ == "__main__":
    main()
