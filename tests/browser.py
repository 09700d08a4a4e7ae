"""A headless Chromium, driven over the pipe that it offers: no driver, no package.

python tests/browser.py demo/report.html docs/report.png

The protocol: https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",  # needs rights that root in a container lacks
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: pages are tried in a browser where there is one"
)


class Browser:
    """One tab of a Chromium of its own, to be used as a context."""

    def __init__(self):
        self._folder = tempfile.mkdtemp()
        to_child, self._write = os.pipe()
        self._read, from_child = os.pipe()
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={self._folder}", "about:blank"]
        # Chromium reads from 3 and writes to 4.
        launch = f'exec 3<&{to_child} 4>&{from_child}; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", launch, "bash", *command],
            pass_fds=(to_child, from_child),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_child)
        os.close(from_child)
        self._received, self._numbers, self._session = b"", itertools.count(), None
        self.requests: list[str] = []
        self.problems: list[str] = []
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        attached = self.do("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.do(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._folder, ignore_errors=True)

    def do(self, method: str, **parameters):
        """Give a command, and return its result."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._write, json.dumps(command).encode() + b"\0")
        while (message := self._next()).get("id") != number:
            pass
        assert "error" not in message, message
        return message["result"]

    def _next(self) -> dict:
        while b"\0" not in self._received:
            piece = os.read(self._read, 2**20)
            assert piece, "Chromium has ended"
            self._received += piece
        text, _, self._received = self._received.partition(b"\0")
        message = json.loads(text)
        self._note(message)
        return message

    def _note(self, message: dict) -> None:
        event, about = message.get("method"), message.get("params", {})
        if event == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.problems.append(str(about["exceptionDetails"]))
        elif event == "Log.entryAdded":
            self.problems.append(about["entry"]["text"])
        elif event == "Page.javascriptDialogOpening":
            self.problems.append(f"dialog: {about['message']}")

    def open(self, page: Path, width: int = 1000, dark: bool = False, script: bool = True) -> None:
        """Show a page, and wait until it has loaded."""
        self.requests.clear()
        self.problems.clear()
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.do("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        calm = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.do("Emulation.setEmulatedMedia", features=[scheme, calm])
        self.do("Emulation.setScriptExecutionDisabled", value=not script)
        self.do("Page.navigate", url=page.as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def ask(self, expression: str):
        """Return the value of a JavaScript expression, also where the page may run none."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self.do("Runtime.evaluate", **asked)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element that a selector finds."""
        return self.ask(
            f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.innerText.trim())"
        )

    def click(self, selector: str) -> None:
        """Click on the middle of an element, as a mouse does."""
        x, y = self.ask(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', inline: 'center'});"
            "const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for event in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=event, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press a key that has a name, such as Enter."""
        codes = {"Enter": (13, "\r"), "Tab": (9, ""), " ": (32, " ")}
        code, text = codes[key]
        for event in ("keyDown", "keyUp"):
            self.do(
                "Input.dispatchKeyEvent",
                type=event,
                key=key,
                text=text if event == "keyDown" else "",
                windowsVirtualKeyCode=code,
            )

    def screenshot(self, file: Path, whole: bool = True) -> None:
        """Save what the page looks like as PNG."""
        taken = self.do("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(taken["data"]))


if __name__ == "__main__":
    page, image = map(Path, sys.argv[1:])
    with Browser() as shown:
        shown.open(page.resolve(), width=800)
        shown.ask("location.hash = 'matrix'")
        shown.screenshot(image, whole=False)
    Image.open(image).quantize(128).save(image, optimize=True)
