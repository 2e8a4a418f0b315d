"""Chromium without a window, controlled through a pipe: the requests, messages, values and picture of a page."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    "--no-first-run",
]


class Browser:
    """One page. `messages` has all events of the page: requests, console messages, errors."""

    def __init__(self, profile: Path):
        reads, self.output = os.pipe()
        inputs, writes = os.pipe()
        # the browser reads from its descriptor 3 and writes to 4
        script = f'exec 3<&{reads} 4>&{writes}; exec "$@"'
        command = ["bash", "-c", script, "chromium", CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(command, pass_fds=(reads, writes), stderr=subprocess.DEVNULL)
        os.close(reads), os.close(writes)
        self.input, self.messages, self.number, self.session = os.fdopen(inputs, "rb"), [], 0, None
        page = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def send(self, method: str, **params) -> int:
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.output, json.dumps(message).encode() + b"\0")
        return self.number

    def read(self) -> dict:
        message = bytearray()
        while (byte := self.input.read(1)) != b"\0":
            assert byte, "the browser has ended"
            message += byte
        return json.loads(message)

    def call(self, method: str, **params) -> dict:
        number = self.send(method, **params)
        while (message := self.read()).get("id") != number:
            self.messages.append(message)
        assert "error" not in message, message
        return message["result"]

    def open(self, path: Path, width: int = 1280, dark: bool = False) -> None:
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.messages.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(message.get("method") == "Page.loadEventFired" for message in self.messages):
            self.messages.append(self.read())

    def events(self, *methods: str) -> list[dict]:
        return [message["params"] for message in self.messages if message.get("method") in methods]

    def evaluate(self, expression: str):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, path: Path) -> None:
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        self.send("Browser.close")
        self.process.wait(timeout=30)
