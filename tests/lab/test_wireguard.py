"""The transport wireguard by itself: our plugin with ours and with wireguard-go, on real TUNs, under the SDK's host."""

import os
import shutil
import subprocess
import time

import pytest

import lab as L
import wgnet

HURRIED = wgnet.PLUGIN.replace("wireguard.so", "wireguard-hurried.so")


@pytest.fixture
def two(request):
    if os.geteuid() != 0:
        pytest.skip("lab machines need root")
    for path in (wgnet.HARNESS, wgnet.PLUGIN):
        if not os.path.exists(path):
            pytest.skip(f"{path} was not built: CLAN_WG_HARNESS and CLAN_WG_PLUGIN, or CLAN_BUILD, say where")
    for program in ("wg", "wireguard-go"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (scripts/setup test)")
    l = L.Lab()
    sides = []
    try:
        yield l, l.machine("a", start=False), l.machine("b", start=False), lambda s: sides.append(s) or s
    finally:
        for s in sides:
            s.close()
        l.close()


def answers(m, *where):
    return m.run("ping", "-6", "-n", "-c", "1", "-W", "1", *where, check=False).returncode == 0


def carry_a_stream(a, b, address, megabytes=10):
    """What is sent at a arrives at b, all of it and in order."""
    receive = ("import hashlib,socket,sys; s=socket.create_server((sys.argv[1],9000),family=socket.AF_INET6); print('on',flush=True)\n"
               "c=s.accept()[0]; h=hashlib.sha256()\nwhile d:=c.recv(1<<16): h.update(d)\nprint(h.hexdigest())")
    send = ("import hashlib,os,socket,sys; c=socket.create_connection((sys.argv[1],9000)); h=hashlib.sha256()\n"
            f"for i in range({megabytes}): d=os.urandom(1<<20); h.update(d); c.sendall(d)\nprint(h.hexdigest())")
    server = b.popen("python3", "-c", receive, address, stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == "on\n"
        sent = a.run("python3", "-c", send, address).stdout
        assert server.stdout.readline() == sent
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def ipv6(m, address):
    m.sh(f"ip addr add {address}/64 dev eth0 nodad")


def test_ours_with_ours(two):
    """One has no super-packets on its TUN; the next test has both with them."""
    _, a, b, keep = two
    x, y = keep(wgnet.Ours(a, "fd00::1", "no-offload")), keep(wgnet.Ours(b, "fd00::2"))
    x.peer(y)
    y.peer(x, "")
    assert wgnet.pings(a, "fd00::2") == 3
    assert wgnet.pings(a, "fd00::2", size=1372) == 3  # as long as the interface has it
    carry_a_stream(a, b, "fd00::2")
    carry_a_stream(b, a, "fd00::1")
    L.wait_for(lambda: y.public in x.states and x.public in y.states, limit=5, what="what the plugins tell of their peers")
    assert y.states[x.public]["endpoint"] == f"{a.address}:7120"
    # what is of nobody's address goes nowhere, neither out nor in
    a.sh("ip addr add fd00::9/64 dev clan0w nodad")
    assert not answers(a, "fd00::3")
    assert not answers(a, "-I", "fd00::9", "fd00::2")
    assert x.ask(f"remove {y.public}") == "ok"
    assert not answers(a, "fd00::2")


def test_over_ipv6_and_roaming(two):
    _, a, b, keep = two
    ipv6(a, "2001:db8::1"), ipv6(b, "2001:db8::2")
    x, y = keep(wgnet.Ours(a, "fd00::1")), keep(wgnet.Ours(b, "fd00::2"))
    x.peer(y, "[2001:db8::2]:7120")
    y.peer(x, "")
    assert wgnet.pings(a, "fd00::2", size=1372) == 3
    carry_a_stream(a, b, "fd00::2", megabytes=30)
    # another address of the same family, then the other family by new knowledge of the owner
    a.sh("ip addr del 2001:db8::1/64 dev eth0; ip addr add 2001:db8::7/64 dev eth0 nodad")
    assert x.ask("moved") == "ok"
    assert wgnet.pings(b, "fd00::1") == 3
    L.wait_for(lambda: y.states.get(x.public, {}).get("endpoint") == "[2001:db8::7]:7120", limit=5, what="the new address is told")
    x.peer(y)
    assert wgnet.pings(a, "fd00::2") == 3
    L.wait_for(lambda: y.states[x.public]["endpoint"] == f"{a.address}:7120", limit=5, what="IPv4 is told")
    # a peer that falls silent is told of at once
    L.wait_for(lambda: wgnet.pings(a, "fd00::2", count=1) and y.public in x.states, limit=5, what="the peer is told of")
    b.unplug()
    before = x.states[y.public]
    begin = time.monotonic()
    assert not answers(a, "fd00::2")
    L.wait_for(lambda: x.states[y.public] is not before, limit=2, what="the silence is told")
    told = x.states[y.public]
    assert told["tx"] > before["tx"] and told["at"] - begin < 0.9, (before, told, begin)


def test_with_wireguard_go(two):
    _, a, b, keep = two
    ours, go = keep(wgnet.Ours(a, "fd00::1", plugin=HURRIED)), keep(wgnet.Go(b, "fd00::2"))
    # wireguard-go begins
    ours.peer(go, "")
    go.peer(ours)
    assert wgnet.pings(b, "fd00::1") == 3
    assert go.endpoint() == f"{a.address}:7120"
    # it begins anew while we keep the old session
    b.sh("ip link set wgx down; ip link set wgx up; ip addr replace fd00::2/64 dev wgx nodad")
    assert wgnet.pings(b, "fd00::1") == 3
    carry_a_stream(b, a, "fd00::1", megabytes=3)
    carry_a_stream(a, b, "fd00::2", megabytes=3)
    b.sh(f"wg set wgx peer {ours.public} remove")
    # we begin, and again after each 25 messages: no packet is lost in between
    ours2 = keep(wgnet.Ours(a, "fd01::1", plugin=HURRIED, port=7121, dev="second"))
    b.sh("ip addr add fd01::2/64 dev wgx nodad")
    b.sh(f"wg set wgx peer {ours2.public} allowed-ips fd01::1/128")
    assert ours2.ask(f"peer {go.public} {b.address}:{go.port} fd01::2 0") == "ok"
    assert wgnet.pings(a, "fd01::2", count=100, size=1300, interval=0.01) == 100
    assert wgnet.pings(b, "fd01::1", count=50, size=1300, interval=0.01) == 50
    carry_a_stream(a, b, "fd01::2", megabytes=3)
    log = b.sh("wg show wgx transfer").stdout.split()
    assert int(log[1]) > 3 << 20
    # other keys have no session, whoever begins
    b.sh(f"wg set wgx peer {ours2.public} remove")
    assert not answers(a, "fd01::2")


FLOOD = """
import hashlib, os, socket, sys
key = hashlib.blake2s(b"mac1----" + bytes.fromhex(sys.argv[1])).digest()
def message():
    m = bytes([1, 0, 0, 0]) + os.urandom(112)
    return m + hashlib.blake2s(m, key=key, digest_size=16).digest() + bytes(16)
some = [message() for _ in range(500)]
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
to = (sys.argv[2], int(sys.argv[3]))
print("on", flush=True)
while True:
    for i, m in enumerate(some):
        socks[i % 50].sendto(m, to)
"""


def test_flood_and_many(two):
    l, a, b, keep = two
    c = l.machine("c", start=False)
    x, y = keep(wgnet.Ours(a, "fd00::1")), keep(wgnet.Ours(b, "fd00::2"))
    before = y.memory_kib()
    assert y.ask("many 998") == "ok"
    grown = y.memory_kib() - before
    assert grown <= 5 << 10, f"1,000 known peers cost {grown} KiB"
    y.peer(x, "")
    x.peer(y)
    refused = y.ask(f"peer {'A' * 42}A= - fd00::3 0")
    assert "its key is none" in refused
    # initiations that only the handshake itself shows to be nobody's
    public = subprocess.run(["base64", "-d"], input=y.public.encode(), capture_output=True, check=True).stdout.hex()
    flood = c.popen("python3", "-c", FLOOD, public, b.address, "7120", stdout=subprocess.PIPE)
    try:
        assert flood.stdout.readline() == "on\n"
        L.wait_for(lambda: answers(a, "fd00::2"), limit=15, what="a good peer under a flood")
        assert flood.poll() is None
        assert wgnet.pings(a, "fd00::2", count=20, check=False) >= 15
    finally:
        flood.kill()
        flood.wait()
        flood.stdout.close()
    assert y.process.poll() is None
