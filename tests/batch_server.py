"""A Batch API on loopback: files and batches in memory, with answers that are chosen by the prompt."""

import json
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from endpoint_behaviours import completion


class BatchServer(ThreadingHTTPServer):
    """A batch ends after `looks` looks at it, as `status`; then `reply` maps a prompt to a status and a body, or None.

    `pauses`: seconds that a request, "POST /v1/batches", waits after its work is done. `faults`: statuses of the next
    replies to such a request.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Api)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.files, self.batches, self.asked, self.requests = {}, {}, Counter(), Counter()
        self.looks, self.status, self.pauses, self.faults = 1, "completed", {}, {}
        self.reply = lambda prompt: completion(prompt[::-1])
        self.most_open = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def create(self, request):
        lines = [json.loads(line) for line in self.files[request["input_file_id"]].splitlines()]
        counts = {"total": len(lines), "completed": 0, "failed": 0}
        batch = {"id": f"batch_{len(self.batches)}", "object": "batch", "status": "in_progress", "looks": 0}
        batch |= request | {"created_at": int(time.time()), "request_counts": counts}
        self.batches[batch["id"]] = batch | {"lines": lines}
        still_open = [other for other in self.batches.values() if other["status"] == "in_progress"]
        self.most_open = max(self.most_open, len(still_open))
        return self.shown(batch)

    def shown(self, batch):
        return {name: value for name, value in batch.items() if name not in ("lines", "looks")}

    def look(self, name):
        batch = self.batches[name]
        batch["looks"] += 1
        if batch["looks"] >= self.looks and batch["status"] == "in_progress":
            self.end(batch)
        return self.shown(batch)

    def end(self, batch):
        batch["status"] = self.status
        if self.status == "failed":
            batch["errors"] = {"data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}]}
            return
        output, errors = [], []
        for line in reversed(batch["lines"]):  # the order is not that of the requests
            prompt = line["body"]["messages"][0]["content"]
            self.asked[prompt] += 1
            reply = self.reply(prompt)
            found = {"id": f"r{len(output)}", "custom_id": line["custom_id"], "error": None}
            if reply is None:
                error = {"code": "batch_expired", "message": "This request could not be executed in time."}
                errors.append(found | {"response": None, "error": error})
            elif reply != "no line":
                status, body = reply
                lines = output if status == 200 else errors
                lines.append(found | {"response": {"status_code": status, "request_id": "q", "body": body}})
        for kind, lines in (("output", output), ("error", errors)):
            if lines:
                batch[f"{kind}_file_id"] = f"{kind}_{batch['id']}"
                self.files[f"{kind}_{batch['id']}"] = "".join(json.dumps(line) + "\n" for line in lines)
        batch["request_counts"] |= {"completed": len(output), "failed": len(errors)}


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            if self.path.endswith("/files"):
                assert b'name="purpose"\r\n\r\nbatch\r\n' in data
                name = f"file-{len(self.server.files)}"
                self.server.files[name] = re.search(rb"filename=.*?\r\n\r\n(.*\n)\r\n--", data, re.S)[1].decode()
                reply = {"id": name, "object": "file", "purpose": "batch"}
            elif self.path.endswith("/batches"):
                reply = self.server.create(json.loads(data))
            else:  # one request
                self.server.asked["direct"] += 1
                reply = completion("yes")[1]
        self.send(reply)

    def do_GET(self):
        path, server = self.path.partition("?")[0], self.server
        with server.lock:
            if path.endswith("/content"):
                reply = server.files.get(path.split("/")[-2])
            elif path.endswith("/batches"):
                newest_first = reversed(server.batches.values())
                reply = {"object": "list", "data": [server.shown(batch) for batch in newest_first], "has_more": False}
            else:
                name = path.split("/")[-1]
                reply = server.look(name) if name in server.batches else None
        self.send(reply)

    def send(self, reply):
        name = f"{self.command} {re.sub('/(batch_|output_|error_).*', '', self.path.partition('?')[0])}"
        with self.server.lock:
            self.server.requests[name] += 1
            faults = self.server.faults.get(name)
            status = faults.pop(0) if faults else 404 if reply is None else 200
        time.sleep(self.server.pauses.get(name, 0))
        body = {"error": {"message": "oops"}} if status >= 400 else reply
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass
