"""Two TCP connections of one user between two lab machines, and the longest silence on each: a terminal, a download."""

import json
import subprocess

import lab as L

PORTS = (7, 8)
# echoes what comes; whoever calls the second port gets 125 KB each 10 ms, 100 Mbit/s
SERVER = """
import socket, sys, threading, time
def terminal(c):
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while d := c.recv(65536):
        c.sendall(d)
def download(c):
    block, at = bytes(125000), time.monotonic()
    while True:
        c.sendall(block)
        at = max(at + 0.01, time.monotonic() - 0.05)
        time.sleep(max(0, at - time.monotonic()))
def serve(s, work):
    while True:
        c, _ = s.accept()
        threading.Thread(target=work, args=(c,), daemon=True).start()
sockets = [socket.create_server((sys.argv[1], p), family=socket.AF_INET6) for p in (7, 8)]
print("ready", flush=True)
threading.Thread(target=serve, args=(sockets[0], terminal), daemon=True).start()
serve(sockets[1], download)
"""
# a byte each 10 ms, echoed, and the download; each line of input is answered with what was since the last one
CLIENT = """
import json, socket, sys, threading, time
class Gap:
    def __init__(self):
        self.lock, self.last, self.worst, self.error = threading.Lock(), time.monotonic(), 0.0, None
    def heard(self):
        with self.lock:
            now = time.monotonic()
            self.worst, self.last = max(self.worst, now - self.last), now
    def take(self):
        with self.lock:
            worst = max(self.worst, time.monotonic() - self.last)
            self.worst = 0.0
            return max(0, worst * 1000 - 10), self.error
gaps = {"terminal": Gap(), "download": Gap()}
def reader(name, s):
    n = 0
    while True:
        try:
            d = s.recv(1 << 20)
        except OSError as e:
            d, gaps[name].error = b"", str(e)
        if not d:
            gaps[name].error = gaps[name].error or "closed"
            return
        if name == "terminal":
            for byte in d:
                if byte != n & 255:
                    gaps[name].error = "another byte than was sent"
                n += 1
        gaps[name].heard()
def typist(s):
    n, at = 0, time.monotonic()
    while True:
        s.sendall(bytes((n & 255,)))
        n += 1
        at = max(at + 0.01, time.monotonic() - 0.05)
        time.sleep(max(0, at - time.monotonic()))
terminal, download = (socket.create_connection((sys.argv[1], p), 20) for p in (7, 8))
for s in (terminal, download):
    s.settimeout(None)
terminal.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for f, args in ((reader, ("terminal", terminal)), (reader, ("download", download)), (typist, (terminal,))):
    threading.Thread(target=f, args=args, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps({name: g.take() for name, g in gaps.items()}), flush=True)
"""


class Streams:
    """`server` sends the download and echoes; `client` types."""

    def __init__(self, server, client):
        address = server.json("status")[-1]["address"]
        table = server.sh("nft list tables | grep -o 'clan_[0-9a-f]*$' | head -1").stdout.strip()
        for port in PORTS:  # the clan lets nobody in but to services: these are of the bench's own
            server.sh(f"nft insert rule inet {table} input tcp dport {port} accept")
        self.processes = []
        self.server = self._start(server, SERVER, address)
        self.client = self._start(client, CLIENT, address)

    def _start(self, m, script, address):
        p = m.popen("/usr/bin/python3", "-c", script, address, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.processes.append(p)
        if p.stdout.readline() != "ready\n":
            self.close()
            raise L.Failed((script,), subprocess.CompletedProcess((), p.wait(), "", "no connection"))
        return p

    def gaps(self):
        """{name: (longest silence since the last call without the normal spacing, in ms; why it ended or None)}"""
        self.client.stdin.write("\n")
        self.client.stdin.flush()
        return {name: tuple(value) for name, value in json.loads(self.client.stdout.readline()).items()}

    def close(self):
        for p in self.processes:
            p.kill()
            p.wait()
