"""A terminal and a download live through WireGuard, TCP, Tor and WireGuard again: nothing is reset."""

import pytest

import lab as L
import streams
import tornet
from test_examples import order
from test_paths import both_use

MACHINE = f"""version: 1
plugins:
  wireguard: {{allow: [net.device, fs.state]}}
  tcp-noise: {{allow: [net.listen, "net.connect:lan", "net.connect:internet"]}}
  tor: {{allow: [fs.state, "net.connect:internet", "exec:tor"]}}
listen: {{wireguard: ["0.0.0.0:7120"], tcp-noise: ["0.0.0.0:7117"]}}
"""
ORDER = "wireguard, tcp-noise, tor"
# in both directions, whoever called
MUTES = {"wireguard": "udp {}port 7120", "tcp-noise": "tcp {}port 7117"}


@pytest.fixture
def net(lab):
    why = tornet.missing()
    if why:
        pytest.skip(why)
    n = tornet.TorNet(lab)
    yield n
    n.close()


def machine(lab, net, name):
    m = lab.machine(name, start=False)
    net.join(m)
    with open(f"{m.dir}/etc/machine.yaml", "w") as f:
        f.write(MACHINE)
    m.start()
    return m


def mute(m, transport):
    rule = "".join(f"add rule inet mute {chain} {MUTES[transport].format(side)} drop\n" for chain in ("in", "out") for side in "sd")
    m.run("nft", "-f", "-", input="add table inet mute\nadd chain inet mute in {type filter hook input priority -5;}\n"
          "add chain inet mute out {type filter hook output priority -5;}\n" + rule)


def ready(nas, laptop, *transports):
    def all_connected():
        return all({p["transport"] for p in m.json("paths", o)[-1]["paths"] if p["state"] in ("in use", "spare")} >= set(transports)
                   for m, o in ((nas, "laptop"), (laptop, "nas")))
    L.wait_for(all_connected, limit=90, what=f"paths by {', '.join(transports)}")


def test_one_conversation_by_three_transports(lab, net, measured):
    nas, laptop = machine(lab, net, "nas"), machine(lab, net, "laptop")
    L.up(nas)
    order(nas, ORDER)
    L.wait_for(lambda: "reachable at 3 addresses" in nas.log(), limit=60, what="an endpoint of each transport")
    L.admit(nas, laptop)
    ready(nas, laptop, "wireguard", "tcp-noise")
    both_use(nas, laptop, "wireguard", limit=60)
    both = streams.Streams(nas, laptop)
    both.gaps()
    lost = []

    def moved(what):
        for name, (ms, error) in both.gaps().items():
            measured(f"{what}: silence of the {name}", ms / 1000)
            lost.extend([f"{what}: the {name}: {error}"] if error else [])
            assert what.startswith("back") or ms < 1000, f"{what}: the {name} was silent for {ms:.0f} ms"

    try:
        mute(nas, "wireguard")
        both_use(nas, laptop, "tcp-noise")
        moved("wireguard died")
        ready(nas, laptop, "tcp-noise", "tor")
        both.gaps()
        mute(nas, "tcp-noise")
        both_use(nas, laptop, "tor")
        moved("tcp-noise died")
        nas.sh("nft delete table inet mute")
        both_use(nas, laptop, "wireguard", limit=90)
        moved("back to wireguard")
    finally:
        both.close()
    assert not lost, lost
