"""A small HTTPS server of files with a CA of its own, which breaks off, goes on, redirects and lies as it is told."""

import contextlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Files:
    """`content`: path → bytes; `moved`: path → Location. `cuts`: how often an answer ends after half of the rest;
    `asked`: the path and Range of every request; `connections`: how many there were, TLS or not."""

    port: int = 0
    ca: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    etag: str = '"one"'
    cuts: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}{path}"


def _handler(files: Files) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            files.asked.append((self.path, wanted))
            if self.path in files.moved:
                self.send_response(302)
                self.send_header("Location", files.moved[self.path])
                self.end_headers()
                return
            content = files.content.get(self.path)
            if content is None:
                self.send_error(404)
                return
            same = self.headers.get("If-Range") == files.etag
            begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and same else 0
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            if files.etag:
                self.send_header("ETag", files.etag)
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            rest = content[begin:]
            if files.cuts:
                files.cuts -= 1
                rest = rest[: len(rest) // 2]
            self.wfile.write(rest)

        def log_message(self, *words: object) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    files: Files

    def get_request(self):
        accepted = super().get_request()
        self.files.connections += 1
        return accepted

    def handle_error(self, request, client_address) -> None:
        """Whoever refuses our certificate hangs up."""


@contextlib.contextmanager
def serving(folder: Path, names: str = "IP:127.0.0.1,DNS:localhost") -> Iterator[Files]:
    """A server on 127.0.0.1; `folder` takes its key and certificate, which is good for `names`."""
    key, certificate = folder / "files.key", folder / "files.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=files", "-addext", f"subjectAltName={names}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    files = Files(ca=certificate.read_text())
    server = _Server(("127.0.0.1", 0), _handler(files))
    server.files, files.port = files, server.server_address[1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield files
    server.shutdown()
    server.server_close()
    thread.join(5)
