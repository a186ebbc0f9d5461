"""Two machines that share nothing but Tor: join, files, and the death of whatever carries them."""

import base64
import json
import os
import signal
import time

import pytest

import lab as L
import tornet

GRANTS = """version: 1
plugins:
  tor: {allow: [fs.state, "net.connect:internet", "exec:tor"]}
  files: {allow: [fs.state, net.service, "exec:lighttpd"]}
"""


@pytest.fixture
def net(lab):
    why = tornet.missing()
    if why:
        pytest.skip(why)
    begin = time.monotonic()
    try:
        n = tornet.TorNet(lab)
    except TimeoutError:  # a thin first consensus; the network, not what is tested
        n = tornet.TorNet(lab)
    n.took = time.monotonic() - begin
    yield n
    n.close()


def machine(lab, net, name):
    m = lab.machine(name, start=False)
    net.join(m)
    with open(f"{m.dir}/etc/machine.yaml", "w") as f:
        f.write(GRANTS)
    m.start()
    return m


def tor_of(m):
    pids = m.pids(r"^tor --ignore-missing-torrc")
    return pids[0] if pids else 0


def reaches(m, name):
    return m.clan("ping", "-c", "1", name, check=False).returncode == 0


def seconds_until(condition, limit, what):
    begin = time.monotonic()
    L.wait_for(condition, limit=limit, what=what)
    return time.monotonic() - begin


def says(m, text):
    return text in m.clan("status", check=False).stdout


def starts_without_a_network(m, measured):
    """Tor is told to look again when the machine comes into a network, and until then people read what is wrong."""
    m.sh(f"ip route del {tornet.NET}.0/24")
    L.up(m)
    L.wait_for(lambda: tor_of(m), limit=30, what="tor")
    L.wait_for(lambda: says(m, "nothing answers; see that this computer is online"), limit=30, what="words about the missing network")
    m.sh(f"ip route add {tornet.NET}.0/24 via {tornet.GATE}; ip addr add 10.77.9.9/32 dev eth0")
    measured("Tor works after the network came", seconds_until(lambda: not says(m, "Tor"), 60, "a working Tor"))


def kills(pid):
    os.kill(pid, signal.SIGKILL)
    L.wait_for(lambda: not os.path.exists(f"/proc/{pid}"), what=f"the end of {pid}")


def comes_back(who, a, b, measured):
    """a reaches b again, through another tor."""
    took = seconds_until(lambda: tor_of(a) and tor_of(b) and reaches(a, b.name), 60, f"the path after the death of {who}")
    measured(f"back after the death of {who}", took)


def shares_files(a, b, measured):
    a.clan("enable", "files", "--on", a.name, "--yes")
    url, data = "http://files.home.clan/", os.urandom(1 << 20)
    L.wait_for(lambda: b.curl(url, check=False).returncode == 0, limit=30, what="files by Tor")
    for name in ("sent", "got"):
        with open(f"{b.dir}/home/{name}", "wb") as f:
            f.write(data if name == "sent" else b"")
    begin = time.monotonic()
    b.curl(url + "bytes", "--fail", "-T", f"{b.dir}/home/sent", timeout=40)
    b.curl(url + "bytes", "--fail", "-o", f"{b.dir}/home/got", timeout=40)
    measured("1 MiB there and back", time.monotonic() - begin)
    assert open(f"{b.dir}/home/got", "rb").read() == data


def carried(m, other):
    return [p["transport"] for p in m.json("paths", other)[-1]["paths"] if p["state"] == "in use"]


def falls_silent(m, other, measured):
    """Nothing is closed: the streams through Tor stay open and pass nothing."""
    assert carried(m, other.name) == ["tor"]
    other.unplug()
    took = seconds_until(lambda: carried(m, other.name) == [], 60, "the end of the silent path")
    measured("a silent peer is declared dead", took)
    assert took <= 40
    other.plug()
    measured("back after the silence", seconds_until(lambda: reaches(m, other.name), 60, "the path after the silence"))


def test_two_machines_share_only_tor(lab, net, measured):
    measured("the private network is there", net.took)
    anna, bob = machine(lab, net, "anna"), machine(lab, net, "bob")
    starts_without_a_network(anna, measured)
    link = L.wait_for(lambda: try_invite(anna, bob), limit=30, what="a link")
    begin = time.monotonic()
    bob.clan("join", "-", "--yes", "--fingerprint", L.words(anna), input=link + "\n", timeout=120)
    measured("join by the link's onion", time.monotonic() - begin)
    took = seconds_until(lambda: reaches(bob, "anna"), 30, "a path by Tor")
    measured("packets pass", took)
    assert took < 20  # one wait for a descriptor, and not the minute of a network that nobody answered in
    assert carried(bob, "anna") == ["tor"]

    # tor runs as another user than its plugin, in a sandbox, with nothing of its keys in its arguments
    tor, host = tor_of(anna), anna.pids("clan-host tor")[0]
    status = {p: dict(l.split(":", 1) for l in open(f"/proc/{p}/status").read().splitlines()) for p in (tor, host)}
    assert status[tor]["Uid"].split()[0] != status[host]["Uid"].split()[0]
    assert status[tor]["Seccomp"].split()[0] == "2" and status[tor]["CapEff"].split()[0] == "0" * 16
    assert os.readlink(f"/proc/{host}/ns/net") != os.readlink(f"/proc/{anna.holder.pid}/ns/net")
    assert b"ED25519" not in open(f"/proc/{tor}/cmdline", "rb").read()

    shares_files(anna, bob, measured)
    for m in (anna, bob):
        L.wait_for(lambda m=m: "own onion service answers" in m.log(), limit=30, what=f"{m.name}'s look at its own place")

    kills(tor_of(bob))
    comes_back("the own tor", bob, anna, measured)
    kills(tor_of(anna))
    comes_back("the peer's tor", bob, anna, measured)
    old = tor_of(bob)
    os.kill(bob.pids("clan-host tor")[0], signal.SIGKILL)
    took = seconds_until(lambda: not os.path.exists(f"/proc/{old}"), 15, "the end of the old tor")
    measured("no tor after the plugin's death", took)
    comes_back("the plugin", bob, anna, measured)
    falls_silent(bob, anna, measured)


def try_invite(anna, bob):
    result = anna.clan("--json", "invite", "--for", bob.name, check=False)
    if result.returncode:
        return None
    return json.loads(result.stdout.splitlines()[-1])["link"]
