"""A page of somebody else: evil.py ADDRESS PORT UID LOG serves what is on standard input (JSON: path -> HTML), notes what it is asked."""

import contextlib
import http.server
import json
import os
import sys

address, port, uid, log = sys.argv[1:5]
pages = json.load(sys.stdin)
note = open(log, "a", buffering=1)


class Evil(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        note.write(json.dumps({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}}) + "\n")
        body = pages.get(self.path.split("?")[0], "<title>evil</title>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer((address, int(port)), Evil)
os.setgid(int(uid))
os.setuid(int(uid))
print("ready", flush=True)
server.serve_forever()
