"""Two transports between two machines: packets take the preferred one that answers, and no connection notices."""

import os
import re
import shutil
import subprocess
import time

import pytest

import lab as L
from test_examples import FILES, TCP, WEBSOCKET, build, machine, order, plugin_dir

LISTEN = 'websocket: ["0.0.0.0:7180"], tcp-noise: ["0.0.0.0:7117"]'
SERVER = """
import socket, sys
s = socket.create_server((sys.argv[1], 7), family=socket.AF_INET6)
print("ready", flush=True)
while True:
    c, _ = s.accept()
    while (d := c.recv(65536)):
        c.sendall(d)
"""
# a line each 20 ms, echoed: prints the longest gap between two echoes of the last command
CLIENT = """
import socket, sys, threading, time
s = socket.create_connection((sys.argv[1], 7), 20)
s.settimeout(30)
last = time.monotonic()
worst = 0.0
lock = threading.Lock()
def send():
    n = 0
    while True:
        s.sendall(b"%08d" % n + b"x" * 992)
        n += 1
        time.sleep(0.02)
def recv():
    global last, worst
    n, buf = 0, b""
    while True:
        d = s.recv(65536)
        assert d, "the connection ended"
        buf += d
        while len(buf) >= 1000:
            assert buf[:8] == b"%08d" % n, (buf[:8], n)
            buf, n = buf[1000:], n + 1
            with lock:
                now = time.monotonic()
                worst, last = max(worst, now - last), now
for f in (send, recv):
    threading.Thread(target=f, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    with lock:
        print("%.0f" % (max(worst, time.monotonic() - last) * 1000), flush=True)
        worst = 0.0
"""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("lab machines need root")
    work = tmp_path_factory.mktemp("paths")
    work.chmod(0o755)
    shutil.copytree(plugin_dir(), work / "plugins")
    shutil.copy(build("websocket", "gcc", str(work / "websocket")), work / "plugins")
    return str(work / "plugins")


@pytest.fixture
def pair(lab, plugins):
    nas = machine(lab, "nas", plugins, WEBSOCKET, TCP, listen=LISTEN)
    laptop = machine(lab, "laptop", plugins, WEBSOCKET, TCP, listen=LISTEN)
    L.up(nas)
    order(nas, "websocket, tcp-noise")
    L.wait_for(lambda: "reachable at 2 addresses" in nas.log(), what="an endpoint of each transport")
    L.admit(nas, laptop)
    for a, b in ((nas, laptop), (laptop, nas)):
        L.wait_for(lambda: a.ping(b.name, check=False).returncode == 0, what=f"{b.name} from {a.name}")
    return nas, laptop


def paths(m, name):
    o = m.json("paths", name)[-1]
    return {p["transport"]: p for p in o["paths"]}, o["history"]


def in_use(m, name):
    return next((t for t, p in paths(m, name)[0].items() if p["in_use"]), None)


def both_use(nas, laptop, transport, limit=20):
    L.wait_for(lambda: in_use(nas, "laptop") == in_use(laptop, "nas") == transport, limit=limit, what=f"packets by {transport}")


def settled(nas, laptop):
    """The preferred one in use, the other one ready."""
    for a, b in ((nas, "laptop"), (laptop, "nas")):
        L.wait_for(lambda: [p["state"] for p in paths(a, b)[0].values()] == ["in use", "spare"], what=f"two paths from {a.name}")


class Stream:
    """An interactive TCP connection from the laptop to the nas."""

    def __init__(self, nas, laptop):
        address = next(r["address"] for o in laptop.json("machines") for r in o["machines"] if r["name"] == "nas")
        # the clan lets nobody in but to services: a service of the test's own
        table = nas.sh("nft list tables | grep -o 'clan_[0-9a-f]*$' | head -1").stdout.strip()
        nas.sh(f"nft insert rule inet {table} input tcp dport 7 accept")
        if laptop.sh(f"nft list table inet $(nft list tables | grep -o 'clan_[0-9a-f]*$' | head -1)").returncode:
            raise AssertionError
        self.server = nas.popen("/usr/bin/python3", "-c", SERVER, address, stdout=subprocess.PIPE)
        assert self.server.stdout.readline() == "ready\n"
        self.client = laptop.popen("/usr/bin/python3", "-c", CLIENT, address, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.client.stdout.readline() == "ready\n"

    def gap_ms(self):
        """The longest wait for an echo since the last call."""
        self.client.stdin.write("\n")
        self.client.stdin.flush()
        line = self.client.stdout.readline()
        assert line, "the connection did not live"
        return int(line)

    def close(self):
        for p in (self.client, self.server):
            p.kill()
            p.wait()


@pytest.fixture
def stream(pair):
    s = Stream(*pair)
    yield s
    s.close()


def connections(m):
    """Established by (websocket, tcp-noise): data and control, or data alone."""
    lines = m.sh("ss -Htn state established").stdout.splitlines()
    return tuple(sum(f":{port}" in line for line in lines) for port in (7180, 7117))


def mute(m, rule):
    m.sh("nft add table inet mute; nft add chain inet mute in '{type filter hook input priority -5;}';"
         "nft add chain inet mute out '{type filter hook output priority -5;}'")
    for chain in ("in", "out"):
        for end in ("dport", "sport"):
            m.sh(f"nft add rule inet mute {chain} tcp {end} 7180 {rule} drop")


def unmute(m):
    m.sh("nft delete table inet mute")


def test_a_dead_path_is_left_and_taken_again(pair, stream):
    nas, laptop = pair
    settled(nas, laptop)
    stream.gap_ms()
    time.sleep(0.5)
    assert stream.gap_ms() < 500
    mute(nas, "")
    both_use(nas, laptop, "tcp-noise", limit=10)
    dead = stream.gap_ms()
    status = laptop.clan("machines").stdout
    assert "tcp-noise" in status and "websocket has not answered" in status, status
    time.sleep(3)
    quiet = stream.gap_ms()
    unmute(nas)
    both_use(nas, laptop, "websocket")
    back = stream.gap_ms()
    L.wait_for(lambda: connections(nas) == (2, 1), what="the control session beside the packets")
    for a, b in ((nas, "laptop"), (laptop, "nas")):
        history = [(h["from"], h["to"]) for h in paths(a, b)[1]]
        assert history[-2:] == [("websocket", "tcp-noise"), ("tcp-noise", "websocket")], history
    assert "websocket" in laptop.ping("nas").stdout and "(preferred)" in laptop.ping("nas").stdout
    print(f"gaps: dead path {dead} ms, then {quiet} ms, planned return {back} ms")
    assert dead < 1000 and back < 300, (dead, back)


def test_the_transport_is_killed(pair, stream):
    """Its streams end at once; the spare goes on; the plugin comes back and with it the path."""
    nas, laptop = pair
    settled(nas, laptop)
    stream.gap_ms()
    for pid in nas.pids("^clan-host websocket"):
        os.kill(pid, 9)
    L.wait_for(lambda: paths(laptop, "nas")[1][-1]["to"] in ("tcp-noise", "websocket") and len(paths(laptop, "nas")[1]) > 1,
               what="packets by tcp-noise")
    dead = stream.gap_ms()
    both_use(nas, laptop, "websocket")
    back = stream.gap_ms()
    print(f"gaps: killed {dead} ms, return {back} ms")
    assert dead < 600 and back < 300, (dead, back)


def test_handshakes_work_and_nothing_passes(pair, stream):
    """Small records pass, packets do not: the path is left within a second, and tried again without the user's packets."""
    nas, laptop = pair
    settled(nas, laptop)
    stream.gap_ms()
    mute(nas, "meta length gt 600")
    L.wait_for(lambda: in_use(laptop, "nas") == "tcp-noise" and in_use(nas, "laptop") == "tcp-noise", limit=10, what="the other path")
    L.wait_for(lambda: paths(laptop, "nas")[0]["websocket"]["failures"] >= 2, limit=40, what="a second try that failed")
    worst = stream.gap_ms()
    assert paths(laptop, "nas")[0]["websocket"]["watched_s"] >= 8
    print(f"worst gap {worst} ms")
    assert worst < 1000, worst
    for a, b in ((nas, "laptop"), (laptop, "nas")):
        assert [h["to"] for h in paths(a, b)[1]].count("tcp-noise") == 1, "packets never went there again"


def test_loss_is_no_death(pair, stream):
    """A path that loses packets stays, also when the other one loses none: moving back and forth would be worse."""
    nas, laptop = pair
    settled(nas, laptop)
    before = {m.name: len(paths(m, other)[1]) for m, other in ((nas, "laptop"), (laptop, "nas"))}
    for percent, seconds, moves in ((1, 4, 0), (10, 8, 2)):  # twice there and back in 8 s would be flapping
        mute(nas, f"numgen random mod 100 \\< {percent}")
        stream.gap_ms()
        time.sleep(seconds)  # a span of time in which nothing must happen
        gap = stream.gap_ms()
        unmute(nas)
        moved = {m.name: len(paths(m, other)[1]) - before[m.name] for m, other in ((nas, "laptop"), (laptop, "nas"))}
        print(f"{percent} % lost: longest gap {gap} ms, moved {moved}")
        assert max(moved.values()) <= moves and gap < 1000, (percent, moved, gap)


def set_websocket(m, settings):
    path = f"{m.dir}/etc/machine.yaml"
    text = open(path).read()
    with open(path, "w") as f:
        f.write("".join((f"  {WEBSOCKET[:-1]}, settings: {{{settings}}}}}\n" if line.startswith("  websocket:") else line)
                        for line in text.splitlines(True)))
    m.clan("machine", "apply", "--yes")


def test_settings_reach_the_transport(pair):
    nas, laptop = pair
    others = nas.pids("^clan-host tcp-noise")
    set_websocket(nas, "path: nowhere")
    L.wait_for(lambda: any("the setting" in h["what"] and "websocket" in h["what"] for h in nas.health()),
               what="the plugin's words in clan status")
    both_use(nas, laptop, "tcp-noise")
    set_websocket(nas, "path: /calls")
    both_use(nas, laptop, "websocket", limit=30)
    assert not [h for h in nas.health() if "websocket" in h["what"]]
    assert "/calls" in nas.json("invite")[-1]["endpoints"][0], nas.json("invite")
    assert nas.pids("^clan-host tcp-noise") == others and others, "only that plugin is touched"


def demand(admin, m, via):
    """An admin names a machine in clan.yaml, with "via:" or without."""
    ident = m.json("status")[-1]["machine_id"]
    path = f"{admin.dir}/home/clan.yaml"
    text = "".join(line for line in admin.clan("config", "show").stdout.splitlines(True) if ident not in line)
    row = f'  "{ident}": {{name: {m.name}{", via: [" + via + "]" if via else ""}}}\n'
    with open(path, "w") as f:
        f.write(text.replace("machines:\n", "machines:\n" + row, 1))
    admin.clan("config", "apply", path, "--yes")


def watch(m, port):
    """Counts what leaves or comes by that port from now on."""
    m.sh("nft add table inet watch; nft add counter inet watch seen;"
         "nft add chain inet watch in '{type filter hook input priority -300;}';"
         "nft add chain inet watch out '{type filter hook output priority -300;}'")
    for chain in ("in", "out"):
        for end in ("dport", "sport"):
            m.sh(f"nft add rule inet watch {chain} tcp {end} {port} counter name seen")


def seen(m):
    return int(re.search(r"packets (\d+)", m.sh("nft list counter inet watch seen").stdout).group(1))


def test_a_demanded_transport_or_none(pair, stream):
    """Whom clan.yaml lets be reached by one transport only is reached by no other, also when that one is dead."""
    nas, laptop = pair
    settled(nas, laptop)
    demand(nas, laptop, "tcp-noise")
    both_use(nas, laptop, "tcp-noise")
    L.wait_for(lambda: not laptop.pids("^clan-host websocket"), what="the end of the other transport on the laptop")
    L.wait_for(lambda: connections(nas) == (0, 2) and connections(laptop) == (0, 2), what="packets and control by tcp-noise")
    print(f"gap of the change: {stream.gap_ms()} ms")
    assert "tcp-noise" in laptop.clan("machines").stdout
    for a, b in ((nas, "laptop"), (laptop, "nas")):
        row = paths(a, b)[0]["websocket"]
        assert row["state"] == "not allowed" and row["barred"] == "only by tcp-noise, as clan.yaml says", row
        assert "only by tcp-noise, as clan.yaml says" in a.clan("paths", b).stdout
    assert "only by tcp-noise, as clan.yaml says" in nas.clan("status").stdout
    assert ":7180" not in laptop.sh("ss -Hltn").stdout and ":7117" in laptop.sh("ss -Hltn").stdout
    L.wait_for(lambda: re.findall(r"reachable at (\d+) addresses", laptop.log())[-1] == "1",
               what="a record of the laptop without the other transport")
    for m in pair:
        watch(m, 7180)
    # the demanded one passes nothing: packets wait, nothing goes by the other one, which works
    for m in pair:
        m.sh("nft add table inet mute; nft add chain inet mute in '{type filter hook input priority -5;}';"
             "nft add rule inet mute in tcp dport 7117 drop; nft add rule inet mute in tcp sport 7117 drop")
    L.wait_for(lambda: in_use(nas, "laptop") is None and in_use(laptop, "nas") is None, what="the end of the only path")
    for a, b in ((nas, "laptop"), (laptop, "nas")):  # both are asked for it while none is there
        a.ping(b, check=False)
    row = next(r for o in nas.json("machines") for r in o["machines"] if r["name"] == "laptop")
    assert row["demand"] == "only by tcp-noise, as clan.yaml says", row
    for m in pair:
        unmute(m)
    both_use(nas, laptop, "tcp-noise", limit=30)
    waited = stream.gap_ms()  # the same connection
    print(f"waited {waited} ms for the only path")
    assert [seen(m) for m in pair] == [0, 0], "by the other transport"
    # without the word it is as before
    demand(nas, laptop, None)
    both_use(nas, laptop, "websocket", limit=30)
    stream.gap_ms()


def test_a_service_demands_a_transport(lab, plugins):
    """By another path it is refused at once, and the clan says why; everything else goes on by that path."""
    nas = machine(lab, "nas", plugins, WEBSOCKET, TCP, FILES, listen=LISTEN)
    laptop = machine(lab, "laptop", plugins, WEBSOCKET, TCP, listen=LISTEN)
    L.up(nas)
    order(nas, "websocket, tcp-noise")
    L.wait_for(lambda: "reachable at 2 addresses" in nas.log(), what="an endpoint of each transport")
    L.admit(nas, laptop)
    nas.clan("enable", "files", "--on", "nas", "--yes")
    path = f"{nas.dir}/home/clan.yaml"
    text = nas.clan("config", "show").stdout
    with open(path, "w") as f:
        f.write(text.replace("    plugin: files\n", "    plugin: files\n    via: [websocket]\n"))
    assert "via:" in open(path).read(), text
    nas.clan("config", "apply", path, "--yes")

    def service():
        return next((r for o in laptop.json("services") for r in o["services"] if r["name"] == "files"), {})

    def get():
        return laptop.sh(f"curl -s -o /dev/null -w '%{{http_code}}' -m 10 {service()['url']}", check=False).stdout

    L.wait_for(lambda: service().get("state") == "up", what="the service")
    settled(nas, laptop)
    assert get() == "200"
    nas.sh("nft add table inet watch; nft add counter inet watch seen; nft add chain inet watch in '{type filter hook input priority -300;}';"
           f"nft add rule inet watch in ip6 daddr {service()['address']} counter name seen")
    mute(nas, "")
    both_use(nas, laptop, "tcp-noise")
    L.wait_for(lambda: service()["state"] == "out of reach", what="the word about it")
    assert service()["why"] == "by tcp-noise it is refused: only by websocket, as clan.yaml says", service()
    assert "clan paths nas" in laptop.clan("services").stdout
    began = time.monotonic()
    assert get() == "000" and time.monotonic() - began < 3, "refused, not waited for"
    assert seen(nas) == 0
    laptop.ping("nas")
