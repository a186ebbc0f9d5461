"""WireGuard between two machines without Clan: our plugin under the SDK's host, or wireguard-go from Debian."""

import os
import queue
import subprocess
import threading
import time

import lab as L

BUILD = os.environ.get("CLAN_BUILD", "")
HARNESS = os.environ.get("CLAN_WG_HARNESS", f"{BUILD}/plugins/transport/wireguard/wireguard_by_hand")
PLUGIN = os.environ.get("CLAN_WG_PLUGIN", f"{BUILD}/plugins/transport/wireguard/wireguard.so")


def keys(m):
    private = m.sh("wg genkey").stdout.strip()
    return private, m.run("wg", "pubkey", input=private + "\n").stdout.strip()


class Ours:
    """The plugin on a TUN of its own.  `states` has what it told of its peers last, by key."""

    def __init__(self, m, address, *extra, port=7120, mtu=1420, dev="clan0w", harness=HARNESS, plugin=PLUGIN):
        self.m, self.address, self.port, self.dev = m, address, port, dev
        self.private, self.public = keys(m)
        self.dir = os.path.join(m.dir, f"wg-{dev}")
        self.states, self.endpoints, self.log, self._answers = {}, [], [], queue.Queue()
        os.makedirs(self.dir, mode=0o700)
        with open(os.open(f"{self.dir}/key", os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(self.private + "\n")
        self.process = m.popen(harness, plugin, self.dir, dev, str(mtu), str(port), f"{self.dir}/key", *extra,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1)
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()
        assert self._answers.get(timeout=10) == "ready", self.log
        m.sh(f"ip link set {dev} mtu {mtu}; ip addr add {address}/64 dev {dev} nodad; ip link set {dev} up")

    def _read(self, stream):
        for line in stream:
            word, _, rest = line.strip().partition(" ")
            if stream is self.process.stderr:
                self.log.append(line.strip())
            elif word == "state":
                key, age, endpoint, rx, tx = rest.split()
                self.states[key] = {"age": int(age), "endpoint": endpoint, "rx": int(rx), "tx": int(tx), "at": time.monotonic()}
            elif word == "endpoint":
                self.endpoints.append(rest)
            else:
                self._answers.put(line.strip())
        if stream is self.process.stdout:
            self._answers.put("ended")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answers.get(timeout=20)

    def peer(self, other, endpoint=None, keepalive=0):
        """endpoint: None: where it is; "": not known."""
        text = f"{other.m.address}:{other.port}" if endpoint is None else endpoint
        assert self.ask(f"peer {other.public} {text or '-'} {other.address} {keepalive}") == "ok"

    def pid(self):
        """Outside: of nsenter, as that executes the program in its own place only when it does not fork."""
        children = open(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read().split()
        return int(children[0]) if children else self.process.pid

    def memory_kib(self):
        lines = open(f"/proc/{self.pid()}/smaps_rollup").read().splitlines()
        return sum(int(l.split()[1]) for l in lines if l.startswith(("Private_Dirty:", "Private_Clean:")))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Go:
    """wireguard-go."""

    def __init__(self, m, address, port=7001, dev="wgx"):
        self.m, self.address, self.port, self.dev = m, address, port, dev
        self.private, self.public = keys(m)
        self.process = m.popen("bash", "-c", f"WG_PROCESS_FOREGROUND=1 exec wireguard-go -f {dev}",
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        L.wait_for(lambda: m.sh(f"wg show {dev}", check=False).returncode == 0, limit=10, what="wireguard-go")
        m.sh(f"wg set {dev} listen-port {port} private-key /dev/stdin", input=self.private + "\n")
        m.sh(f"ip addr add {address}/64 dev {dev} nodad; ip link set {dev} up mtu 1420")

    def peer(self, other, endpoint=None, keepalive=0):
        text = f"{other.m.address}:{other.port}" if endpoint is None else endpoint
        self.m.sh(f"wg set {self.dev} peer {other.public} allowed-ips {other.address}/128 "
                  f"persistent-keepalive {keepalive or 'off'} " + (f"endpoint {text}" if text else ""))

    def handshake(self):
        """Seconds of the epoch of the last one; 0: none."""
        return int(self.m.sh(f"wg show {self.dev} latest-handshakes").stdout.split()[1])

    def endpoint(self):
        return self.m.sh(f"wg show {self.dev} endpoints").stdout.split()[1]

    def close(self):
        self.process.kill()
        self.process.wait()


def pings(m, address, count=3, size=56, interval=0.05, check=True):
    """How many of them were answered."""
    out = m.run("ping", "-6", "-n", "-i", str(interval), "-s", str(size), "-c", str(count), "-w", "10", address, check=False).stdout
    got = int(out.split(" received")[0].rsplit(None, 1)[1]) if " received" in out else 0
    assert not check or got == count, out
    return got
