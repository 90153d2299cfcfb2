"""A headless Chromium driven over a pipe: what a page logs and fetches, clicks, keys, pictures.

The DevTools protocol over `--remote-debugging-pipe` needs no port and no package: JSON messages
that end in NUL, on file descriptors 3 and 4.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
WHY_NOT = "no Chromium here: apt-get install chromium"


def chromium() -> str | None:
    """The path of a browser, where there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Page:
    """One open page."""

    to: int
    back: int
    session: str | None = None
    logged: list[str] = field(default_factory=list[str])
    requested: list[str] = field(default_factory=list[str])
    _rest: bytes = b""
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command; its answer. Events that come in between are noted."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            got = self._message()
            if got.get("id") == number:
                if "error" in got:
                    raise RuntimeError(f"{method}: {got['error']}")
                result: dict[str, Any] = got["result"]
                return result
            self._note(got)

    def wait_for(self, method: str) -> None:
        """Until an event comes."""
        while (got := self._message()).get("method") != method:
            self._note(got)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            chunk = os.read(self.back, 1 << 20)
            if not chunk:
                raise RuntimeError("the browser ended")
            self._rest += chunk
        one, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(one)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            self.logged.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.logged.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.logged.append(str(params["args"]))

    def open(self, path: Path) -> None:
        """Load a file, to its end."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait_for("Page.loadEventFired")

    def js(self, expression: str) -> Any:
        """The value of an expression."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of the first that fits."""
        place = (
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        x, y = self.js(place)
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                *("Input.dispatchMouseEvent",), type=kind, x=x, y=y, button="left", clickCount=1
            )

    def key(self, key: str, text: str | None = None) -> None:
        """Press and let go of a key."""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "ArrowRight": 39, "Escape": 27}
        known: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": codes[key]}
        if text is not None:
            known["text"] = text
        self.call("Input.dispatchKeyEvent", type="keyDown", **known)
        self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def size(self, width: int, height: int, *, mobile: bool = False, scale: float = 1) -> None:
        """The size of the window, and whether it is a phone."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile},
        )

    def scheme(self, name: str) -> None:
        """Light or dark, as the system would have it."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def picture(
        self, path: Path, *, whole: bool = True, clip: dict[str, float] | None = None
    ) -> None:
        """A PNG of the page."""
        more: dict[str, Any] = {} if clip is None else {"clip": {**clip, "scale": 1}}
        found = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **more)
        path.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def browser() -> Generator[Page]:
    """A page of a browser of its own, which ends with the block."""
    program = chromium()
    if program is None:
        raise RuntimeError(WHY_NOT)
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = (
            *("--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu"),
            *("--no-sandbox", "--hide-scrollbars", "--disable-dev-shm-usage"),
            *("--disable-background-networking", f"--user-data-dir={profile}", "about:blank"),
        )
        shell = f'exec "$0" "$@" 3<&{in_read} 4>&{out_write}'
        process = subprocess.Popen(
            ["bash", "-c", shell, program, *options],
            pass_fds=(in_read, out_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(in_read)
        os.close(out_write)
        try:
            page = Page(in_write, out_read)
            target = page.call("Target.createTarget", url="about:blank")["targetId"]
            attached = page.call("Target.attachToTarget", targetId=target, flatten=True)
            page.session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                page.call(f"{domain}.enable")
            yield page
        finally:
            process.terminate()
            process.wait(20)
            os.close(in_write)
            os.close(out_read)
