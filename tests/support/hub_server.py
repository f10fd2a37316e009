"""A real HTTP server on this machine that keeps model repositories as the Hugging Face hub does, as far as tests go.

Every file is taken in the commit itself; the hub's store for large files and its permissions are not here.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """What a test knows of the running server."""

    url: str
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Files by path, by the repository's name."""
    private: dict[str, bool] = field(default_factory=dict)


def _commit(files: dict[str, bytes]) -> str:
    """The name of a state of a repository; 40 hex digits."""
    return hashlib.sha1(repr(sorted(files.items())).encode(), usedforsecurity=False).hexdigest()


@contextmanager
def serve() -> Iterator[Hub]:
    """Run the server while the context is open."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            parts = self.parts()
            match parts:
                case ["api", "repos", "create"]:
                    asked = json.loads(body)
                    name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
                    if name in hub.repositories:
                        return self.answer({"error": "exists", "url": f"{hub.url}/{name}"}, 409)
                    hub.repositories[name] = {}
                    hub.private[name] = asked.get("visibility") == "private"
                    self.answer({"url": f"{hub.url}/{name}"})
                case ["api", "validate-yaml"]:
                    self.answer({"errors": [], "warnings": []})
                case ["api", "models", user, name, "preupload", _]:
                    paths = [file["path"] for file in json.loads(body)["files"]]
                    modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]
                    self.answer({"files": modes}) if f"{user}/{name}" in hub.repositories else self.missing()
                case ["api", "models", user, name, "commit", _]:
                    files = hub.repositories[f"{user}/{name}"]
                    for line in body.splitlines():
                        item = json.loads(line)
                        if item["key"] == "file":
                            files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
                    commit = _commit(files)
                    url = f"{hub.url}/{user}/{name}/commit/{commit}"
                    self.answer({"success": True, "commitOid": commit, "commitUrl": url})
                case _:
                    self.missing()

        def do_GET(self) -> None:
            parts = self.parts()
            name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
            if name not in hub.repositories:
                return self.missing()
            files = hub.repositories[name]
            match parts:
                case ["api", "models", _, _] | ["api", "models", _, _, "revision", _]:
                    siblings = [{"rfilename": path} for path in files]
                    self.answer({"id": name, "sha": _commit(files), "siblings": siblings})
                case ["api", "models", _, _, "tree", *_]:
                    tree = [
                        {"type": "file", "path": path, "size": len(data), "oid": _commit({path: data})}
                        for path, data in files.items()
                    ]
                    self.answer(tree)
                case [_, _, "resolve", _, *path] if "/".join(path) in files:
                    data = files["/".join(path)]
                    etag = {"ETag": f'"{_commit({"": data})}"', "X-Repo-Commit": _commit(files)}
                    self.send(data, 200, {"Content-Type": "application/octet-stream", **etag})
                case _:
                    self.missing()

        do_HEAD = do_GET

        def parts(self) -> list[str]:
            return unquote(urlsplit(self.path).path).strip("/").split("/")

        def missing(self) -> None:
            self.send(b"{}", 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})

        def answer(self, body: Any, status: int = 200) -> None:
            self.send(json.dumps(body).encode(), status, {"Content-Type": "application/json"})

        def send(self, data: bytes, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
