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


def test_two_machines_share_only_tor(lab, net, measured):
    measured("the private network is there", net.took)
    anna, bob = machine(lab, net, "anna"), machine(lab, net, "bob")
    L.up(anna)
    L.wait_for(lambda: tor_of(anna), limit=30, what="tor on anna")
    link = L.wait_for(lambda: try_invite(anna, bob), limit=30, what="a link")
    net.stranger(onion_of(link), tornet.MISSING_KEY)  # the door is there, and not for who has its address alone
    begin = time.monotonic()
    bob.clan("join", "-", "--yes", "--fingerprint", L.words(anna), input=link + "\n", timeout=120)
    measured("join by the link's onion", time.monotonic() - begin)
    measured("packets pass", seconds_until(lambda: reaches(bob, "anna"), 90, "a path by Tor"))
    assert "tor" in bob.clan("machines").stdout

    # tor runs as another user than its plugin, in a sandbox, with nothing of its keys in its arguments
    tor, host = tor_of(anna), anna.pids("clan-host tor")[0]
    status = {p: dict(l.split(":", 1) for l in open(f"/proc/{p}/status").read().splitlines()) for p in (tor, host)}
    assert status[tor]["Uid"].split()[0] != status[host]["Uid"].split()[0]
    assert status[tor]["Seccomp"].split()[0] == "2" and status[tor]["CapEff"].split()[0] == "0" * 16
    assert os.readlink(f"/proc/{host}/ns/net") != os.readlink(f"/proc/{anna.holder.pid}/ns/net")
    assert b"ED25519" not in open(f"/proc/{tor}/cmdline", "rb").read()

    # a killed tor comes back, and so does the path
    os.kill(tor_of(bob), signal.SIGKILL)
    L.wait_for(lambda: tor_of(bob) == 0, what="the death of tor")
    measured("back after the death of tor", seconds_until(lambda: tor_of(bob) and reaches(bob, "anna"), 60, "the path after tor's death"))

    # a killed plugin takes its tor with it
    old = tor_of(bob)
    os.kill(bob.pids("clan-host tor")[0], signal.SIGKILL)
    took = seconds_until(lambda: not os.path.exists(f"/proc/{old}"), 15, "the end of the old tor")
    measured("no tor after the plugin's death", took)
    measured("back after the plugin's death", seconds_until(lambda: tor_of(bob) and reaches(bob, "anna"), 60, "the path after the plugin's death"))


def onion_of(link):
    text = link.rsplit("/", 1)[1]
    raw = base64.b32decode(text + "=" * (-len(text) % 8))
    return base64.b32encode(raw[-41:-6]).decode().lower() + ".onion", int.from_bytes(raw[-6:-4], "big")


def try_invite(anna, bob):
    result = anna.clan("--json", "invite", "--for", bob.name, check=False)
    if result.returncode:
        return None
    return json.loads(result.stdout.splitlines()[-1])["link"]
