"""A mail server and a web server on the loopback that keep what they are sent, and fail when told to."""

import http.server
import socketserver
import threading
from contextlib import contextmanager


class _Mail(socketserver.StreamRequestHandler):
    def handle(self):
        def say(line):
            self.wfile.write(line.encode() + b"\r\n")

        say("220 test")
        to = ""
        while line := self.rfile.readline().decode().strip():
            word = line.split(":")[0].upper()
            if word == "DATA":
                say("354 go on")
                body = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    body += part
                self.server.kept.append((to, body.decode()))
                say("250 taken")
            elif word == "QUIT":
                say("221 bye")
                return
            elif word == "RCPT TO" and self.server.failing:
                say("450 not now")
            else:
                to = line.partition("<")[2].rstrip(">") if word == "RCPT TO" else to
                say("250 ok")


class _Web(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.kept.append((dict(self.headers), body))
        self.send_response(503 if self.server.failing else self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *args):
        pass


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    failing, status = False, 204

    @property
    def port(self):
        return self.server_address[1]


@contextmanager
def _running(handler):
    with _Server(("127.0.0.1", 0), handler) as server:
        server.kept = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def mail():
    return _running(_Mail)


def web():
    return _running(_Web)
