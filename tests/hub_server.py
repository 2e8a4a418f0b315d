"""A hub on loopback with one data set: the requests by which huggingface_hub and `datasets` list and load files."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub_with(name: str, files: dict[str, bytes]):
    """Serves a data set with these files; yields the hub's address."""

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            path = unquote(urlparse(self.path).path)
            if path.startswith(f"/datasets/{name}/resolve/"):
                return self.send_file(path.split("/", 6)[6])
            if path == f"/api/datasets/{name}" or path.startswith(f"/api/datasets/{name}/revision/"):
                siblings = [{"rfilename": file} for file in files]
                return self.send({"id": name, "sha": COMMIT, "siblings": siblings, "private": False, "gated": False})
            if path.startswith(f"/api/datasets/{name}/tree/"):
                folder = "".join(f"{part}/" for part in path.split("/")[7:])
                return self.send(tree(folder, recursive="recursive=true" in self.path.lower()))
            self.send({}, 404, {"X-Error-Code": "RepoNotFound" if name not in path else "EntryNotFound"})

        do_HEAD = do_GET

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["paths"]
            self.send([entry(file) for file in files if file in asked])

        def send_file(self, file: str):
            if file not in files:
                return self.send({}, 404, {"X-Error-Code": "EntryNotFound"})
            self.send(files[file], headers={"ETag": f'"{digest(file)}"', "X-Repo-Commit": COMMIT})

        def send(self, body, status=200, headers=()):
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for key, value in {"Content-Length": len(body), **dict(headers)}.items():
                self.send_header(key, str(value))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *args):
            pass

    def digest(file: str) -> str:
        return hashlib.sha1(files[file]).hexdigest()

    def entry(file: str) -> dict:
        return {"type": "file", "path": file, "size": len(files[file]), "oid": digest(file)}

    def tree(folder: str, recursive: bool) -> list[dict]:
        """The files in a folder; if not recursive, its folders and the files that are in none of them."""
        below = [file for file in files if file.startswith(folder)]
        if recursive:
            return [entry(file) for file in below]
        folders = {folder + file[len(folder) :].split("/")[0] for file in below if "/" in file[len(folder) :]}
        found = [{"type": "directory", "path": name, "oid": "0" * 40, "size": 0} for name in sorted(folders)]
        return found + [entry(file) for file in below if "/" not in file[len(folder) :]]

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
