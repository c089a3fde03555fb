"""A hub of one's own: enough of the Hugging Face hub's API, on 127.0.0.1, for tests.

    python tests/local_hub.py FOLDER [PORT]      prints its address
    HF_ENDPOINT=<address> HF_HUB_DISABLE_XET=1 python …

It serves FOLDER/models/<owner>/<name>/… and FOLDER/datasets/<owner>/<name>/…, which is enough for
from_pretrained, load_dataset and push_to_hub. A repository with a file named .gated answers only
to a login, as some do on the real hub. It checks no token and keeps no history.
"""

import base64
import hashlib
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0" * 39 + "1"  # the one commit that every repository has


class Hub(BaseHTTPRequestHandler):
    root: Path = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, data=None, status=200, body=None, **headers):
        "Send JSON, or bytes that are already there"
        body = json.dumps(data).encode() if body is None else body
        self.send_response(status)
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "X-Repo-Commit": COMMIT,
        } | {k.replace("_", "-"): v for k, v in headers.items()}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status, code, message):
        self.answer(dict(error=message), status, X_Error_Code=code, X_Error_Message=message)

    def repository(self, kind, name):
        "The folder of a repository, or None after having said why not"
        folder = self.root / kind / name
        if not folder.is_dir():
            return self.fail(404, "RepoNotFound", "Repository not found")
        if (folder / ".gated").exists() and not self.headers.get("Authorization"):
            return self.fail(
                401,
                "GatedRepo",
                f"Access to {name} is restricted. You must be authenticated to access it.",
            )
        return folder

    def entries(self, folder, below=None, recursive=True):
        "Files and folders of a repository, as the hub describes them"
        paths = sorted((below or folder).rglob("*") if recursive else (below or folder).iterdir())
        return [
            dict(
                type="file" if p.is_file() else "directory",
                path=str(p.relative_to(folder)),
                size=p.stat().st_size if p.is_file() else 0,
                oid=hashlib.sha1(f"{p}{p.stat().st_mtime_ns}".encode()).hexdigest(),
            )
            for p in paths
            if p.name != ".gated"
        ]

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        if m := re.fullmatch(r"/(datasets/)?([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", path):
            return self.send_file("datasets" if m[1] else "models", m[2], m[4])
        if path == "/api/whoami-v2":
            return self.answer(
                dict(name="me", type="user", orgs=[], auth=dict(type="access_token"))
            )
        if m := re.fullmatch(r"/api/(models|datasets)/([\w.-]+/[\w.-]+)(/revision/[^/]+)?", path):
            if folder := self.repository(m[1], m[2]):
                self.answer(
                    dict(
                        id=m[2],
                        sha=COMMIT,
                        private=False,
                        gated=False,
                        disabled=False,
                        downloads=0,
                        likes=0,
                        tags=[],
                        siblings=[
                            dict(rfilename=f["path"])
                            for f in self.entries(folder)
                            if f["type"] == "file"
                        ],
                    )
                )
            return
        if m := re.fullmatch(
            r"/api/(models|datasets)/([\w.-]+/[\w.-]+)/tree/[^/]+(?:/(.*))?", path
        ):
            if folder := self.repository(m[1], m[2]):
                below = folder / (m[3] or "")
                recursive = "recursive=true" in self.path.lower()
                self.answer(
                    self.entries(folder, below, recursive)
                ) if below.is_dir() else self.fail(404, "EntryNotFound", "Entry not found")
            return
        self.fail(404, "EntryNotFound", f"This hub has no {path}")

    def send_file(self, kind, name, file):
        if not (folder := self.repository(kind, name)):
            return
        path = (folder / file).resolve()
        if not path.is_file() or not path.is_relative_to(folder.resolve()):
            return self.fail(404, "EntryNotFound", "Entry not found")
        size = path.stat().st_size
        known = dict(
            ETag=f'"{hashlib.sha1(f"{path}{path.stat().st_mtime_ns}{size}".encode()).hexdigest()}"',
            Accept_Ranges="bytes",
            Content_Type="application/octet-stream",
        )
        if m := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(m[1]), min(int(m[2] or size - 1), size - 1)
            with open(path, "rb") as f:
                f.seek(start)
                return self.answer(
                    status=206,
                    body=f.read(end - start + 1),
                    Content_Range=f"bytes {start}-{end}/{size}",
                    **known,
                )
        self.answer(body=path.read_bytes(), **known)

    def do_POST(self):
        path = unquote(urlsplit(self.path).path)
        size = int(self.headers.get("Content-Length") or 0)
        body = (
            self.rfile.read(size)
            if size
            else self.read_chunks()
            if self.headers.get("Transfer-Encoding") == "chunked"
            else b""
        )
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted.get('organization') or 'me'}/{wanted['name'].split('/')[-1]}"
            (self.root / f"{wanted.get('type') or 'model'}s" / name).mkdir(
                parents=True, exist_ok=True
            )
            return self.answer(
                dict(url=f"http://{self.headers['Host']}/{name}", name=name, id=name)
            )
        if path == "/api/validate-yaml":
            return self.answer(dict(errors=[], warnings=[]))
        m = re.fullmatch(
            r"/api/(models|datasets)/([\w.-]+/[\w.-]+)/(paths-info|preupload|commit)/[^/]+", path
        )
        if not m:
            return self.fail(404, "EntryNotFound", f"This hub has no {path}")
        if not (folder := self.repository(m[1], m[2])):
            return
        if m[3] == "paths-info":
            wanted = (
                json.loads(body)["paths"]
                if body[:1] == b"{"
                else re.findall(r"paths=([^&]+)", unquote(body.decode()))
            )
            return self.answer([f for f in self.entries(folder) if f["path"] in wanted])
        if m[3] == "preupload":
            return self.answer(
                dict(
                    files=[
                        dict(path=f["path"], uploadMode="regular", shouldIgnore=False)
                        for f in json.loads(body)["files"]
                    ]
                )
            )
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                target = folder / entry["value"]["path"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(base64.b64decode(entry["value"]["content"]))
        self.answer(
            dict(
                success=True,
                commitOid=COMMIT,
                commitUrl=f"http://{self.headers['Host']}/{m[2]}/commit/{COMMIT}",
                hookOutput="",
            )
        )

    def read_chunks(self):
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


def serve(root, port=0):
    "A running server on 127.0.0.1; its address is http://127.0.0.1:{server.server_port}"
    return ThreadingHTTPServer(("127.0.0.1", port), type("Hub", (Hub,), dict(root=Path(root))))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    server = serve(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
