"""A terminal and a download live through WireGuard, TCP, Tor and WireGuard again: nothing is reset."""

import pytest

import lab as L
import streams
import tornet
from test_examples import order
from test_paths import both_use

TOR = '  tor: {allow: [fs.state, "net.connect:internet", "exec:tor"]}\n'
MACHINE = f"""version: 1
plugins:
  wireguard: {{allow: [net.device, fs.state]}}
  tcp-noise: {{allow: [net.listen, "net.connect:lan", "net.connect:internet"]}}
{TOR}listen: {{wireguard: ["0.0.0.0:7120"], tcp-noise: ["0.0.0.0:7117"]}}
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


@pytest.fixture
def pair(lab):
    """Two machines without Tor, and their conversation."""
    nas, laptop = (lab.machine(name, start=False) for name in ("nas", "laptop"))
    for m in (nas, laptop):
        with open(f"{m.dir}/etc/machine.yaml", "w") as f:
            f.write(MACHINE.replace(TOR, ""))
        m.start()
    L.up(nas)
    order(nas, "wireguard, tcp-noise")
    L.wait_for(lambda: "reachable at 2 addresses" in nas.log(), what="an endpoint of each transport")
    L.admit(nas, laptop)
    ready(nas, laptop, "wireguard", "tcp-noise")
    both_use(nas, laptop, "wireguard", limit=60)
    both = streams.Streams(nas, laptop)
    both.gaps()
    yield nas, laptop, both
    both.close()


def silences(both, what, measured, most):
    """The longest ones, until both connections pass something again: after a switch TCP still waits for its timer."""
    worst = {}

    def flows():
        gaps = both.gaps()
        for name, (ms, error) in gaps.items():
            assert not error, f"{what}: the {name}: {error}"
            worst[name] = max(ms, worst.get(name, 0))
        return all(ms < 100 for ms, _ in gaps.values())

    L.wait_for(flows, what="both connections")
    for name, ms in worst.items():
        measured(f"{what}: silence of the {name}", ms / 1000)
        assert ms < most, f"{what}: the {name} was silent for {ms:.0f} ms"


def drop(m, rule):
    m.run("nft", "-f", "-", input="".join(f"add table inet mute\nadd chain inet mute {c} {{type filter hook {c}put priority -5;}}\n"
                                          f"add rule inet mute {c} {rule} drop\n" for c in ("in", "out")))


# all of UDP; then only what carries data (type 4), so that each handshake succeeds
@pytest.mark.parametrize("what, rule", [("udp is dropped", "meta l4proto udp"),
                                        ("handshakes pass and no data", "udp dport 7120 @th,64,8 4")], ids=["udp", "data"])
def test_wireguard_passes_nothing(pair, measured, what, rule):
    nas, laptop, both = pair
    drop(nas, rule)
    both_use(nas, laptop, "tcp-noise")
    silences(both, what, measured, 1000)
    nas.sh("nft delete table inet mute")
    both_use(nas, laptop, "wireguard", limit=90)
    silences(both, "back to wireguard", measured, 300)


def test_another_address_under_wireguard(pair, measured):
    """The laptop has two addresses and loses the first one: no reset, and WireGuard goes on from the second one."""
    nas, laptop, both = pair
    new = "10.77.0.77"
    nas.run("nft", "-f", "-", input="add table inet seen\nadd chain inet seen in {type filter hook input priority -5;}\n"
            f"add rule inet seen in ip saddr {new} udp dport 7120 counter\n")
    laptop.sh(f"ip addr add {new}/24 dev eth0")
    both.gaps()
    laptop.sh("sysctl -qw net.ipv4.conf.eth0.promote_secondaries=1; ip addr del 10.77.0.2/24 dev eth0")

    def seen():
        return int(nas.sh("nft list table inet seen").stdout.split("packets ")[1].split()[0])

    L.wait_for(lambda: seen() > 100, limit=30, what="WireGuard's packets from the other address")
    both_use(nas, laptop, "wireguard", limit=60)
    silences(both, "another address", measured, 1000)
    before = seen()
    L.wait_for(lambda: seen() > before + 100, what="packets that go on from there")
