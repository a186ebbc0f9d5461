"""What a browser sends to the dashboard, as a user of a machine in the lab."""

import base64
import json
import os
import subprocess

import pytest

import lab as L

# Requests, a JSON object a line on standard input, are sent as a user; so are the answers, back.
CLIENT = r"""
import base64, json, os, socket, sys
os.setgid(int(sys.argv[1])) or os.setuid(int(sys.argv[1]))
for line in sys.stdin:
    q = json.loads(line)
    try:
        s = socket.create_connection((q["at"], q["port"]), q["limit"])
        s.sendall(base64.b64decode(q["bytes"]))
        got = b""
        while (d := s.recv(65536)):
            got += d
        print(base64.b64encode(got).decode(), flush=True)
    except OSError as e:
        print("error " + type(e).__name__, flush=True)
"""


class Answer:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if lines[0] else 0
        self.headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        self.raw_cookie = next((line.split(": ", 1)[1] for line in lines[1:] if line.lower().startswith("set-cookie")), "")

    @property
    def json(self):
        return json.loads(self.body)


class Browser:
    """One user of the machine."""

    def __init__(self, m, uid, at, host=None, port=7180):
        self.at, self.port, self.host, self.session = at, port, host or f"{at}:{port}", {}
        self.origin = f"http://{self.host}"
        self.process = m.popen("/usr/bin/python3", "-c", CLIENT, str(uid), stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    limit = 10  # seconds that it waits

    def raw(self, data, at=None):
        self.process.stdin.write(json.dumps({"at": at or self.at, "port": self.port, "limit": self.limit, "bytes": base64.b64encode(data).decode()}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().strip()
        return line if line.startswith("error") else Answer(base64.b64decode(line))

    def ask(self, method, path, body=None, at=None, **headers):
        all_of_them = {"Host": self.host, "Connection": "close", **self.session}
        if method != "GET":
            all_of_them.update({"Origin": self.origin, "Content-Type": "application/json"})
            body = json.dumps(body or {})
        all_of_them.update({k.replace("_", "-"): v for k, v in headers.items()})
        text = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in all_of_them.items() if v is not None)
        if body is not None:
            text += f"Content-Length: {len(body)}\r\n"
        return self.raw((text + "\r\n" + (body or "")).encode(), at)

    def sign_in(self, code):
        answer = self.ask("POST", "/v1/session", {"code": code})
        assert isinstance(answer, Answer), answer
        if answer.status == 200:
            self.session = {"Cookie": answer.raw_cookie.split(";")[0], "Clan-Token": answer.json["token"]}
        return answer

    def close(self):
        self.process.kill()
        self.process.wait()


def needed():
    """What the dashboard's tests cannot do without."""
    if os.geteuid() != 0:
        pytest.skip("lab machines need root")
    if not any(os.path.exists(f"{L.PREFIX}/{d}/clan/plugins-0/dashboard.so") for d in ("lib", "lib/x86_64-linux-gnu", "lib64")):
        pytest.skip("the dashboard was not built: it needs libmicrohttpd-dev, nodejs and npm")


def code_of(m, uid=0, *at):
    """As that user: the code belongs to who asked for it."""
    out = m.run("/usr/bin/python3", "-c", "import os, sys\nos.setgroups([os.stat('/run/clan/home.sock').st_gid])\n"
                f"os.setgid({uid}); os.setuid({uid}); os.environ['HOME'] = '/'\nos.execv(sys.argv[1], sys.argv[1:])",
                f"{L.PREFIX}/bin/clan", "--json", "ui", *at).stdout
    return json.loads(out.splitlines()[-1])
