"""A chat endpoint on loopback that answers as the prompt asks: correctly, late, with an error, or not at all."""

import json
import socket
import struct
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FaultServer(ThreadingHTTPServer):
    """The prompt is `fault[,fault...] text`: each request with that prompt gets the next fault, then an answer."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, handler=None, port=0):
        super().__init__(("127.0.0.1", port), handler or Handler)
        self.asked = Counter()
        self.bodies = []
        self.times = []
        self.busy = self.most_busy = 0
        self.always = None  # a fault of every request
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][0]["content"]
        server = self.server
        with server.lock:
            nth = server.asked[prompt]
            server.asked[prompt] += 1
            server.bodies.append(body)
            server.times.append(time.monotonic())
            server.busy += 1
            server.most_busy = max(server.most_busy, server.busy)
        faults = prompt.split(" ")[0].split(",") if prompt[:1].islower() else []
        try:
            getattr(self, server.always or (faults[nth] if nth < len(faults) else "answer"))(prompt)
        finally:
            with server.lock:
                server.busy -= 1

    def answer(self, prompt: str, content: str | None = None, finish_reason: str = "stop"):
        content = prompt[::-1] if content is None else content
        message = {"role": "assistant", "content": content}
        self.send(
            200,
            {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 100, "total_tokens": 110},
            },
        )

    def slow(self, prompt):
        time.sleep(0.1)
        self.answer(prompt)

    def busy(self, prompt):
        self.send(429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, {"Retry-After": "1"})

    def quota(self, prompt):
        self.send(429, {"error": {"message": "pay first", "code": "insufficient_quota"}}, {"Retry-After": "0"})

    def broken(self, prompt):
        self.send(500, {"error": {"message": "oops"}})

    def denied(self, prompt):
        self.send(401, {"error": {"message": f"no such key: {self.headers['Authorization']}"}})

    def long(self, prompt):
        error = {"message": "This model's maximum context length is 8 tokens", "code": "context_length_exceeded"}
        self.send(400, {"error": error})

    def retired(self, prompt):
        message = "The model `m-1106` has been deprecated"
        self.send(404, {"error": {"message": message, "code": "model_not_found"}})

    def do_GET(self):  # the list of models
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "us"} for name in ("m-2024-04-09", "other")]
        self.send(200, {"object": "list", "data": models})

    def unknown(self, prompt):
        self.send(400, {"error": {"message": "Unknown parameter: 'foo'"}})

    def filtered(self, prompt):
        self.answer(prompt, "", "content_filter")

    def empty(self, prompt):
        self.answer(prompt, " ")

    def cut(self, prompt):
        self.answer(prompt, "and so o", "length")

    def hang(self, prompt):
        time.sleep(5)

    def reset(self, prompt):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def garbage(self, prompt):
        self.send(200, b"<html>it works!</html>", {"Content-Type": "text/html"})

    def torn(self, prompt):
        self.send(200, b'{"id": "1", "choi')

    def hollow(self, prompt):
        self.send(200, {"id": "1", "choices": []})

    def send(self, status: int, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | dict(headers)).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass
