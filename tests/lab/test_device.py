"""Transports that carry packets themselves, a plain one and WireGuard: no connection notices when one comes and goes."""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

import lab as L
from test_examples import TCP, order, plugin_dir
from test_paths import Stream, both_use, in_use, paths

DEVICES = {"cleardev": "cleardev: {allow: [net.device]}", "wireguard": "wireguard: {allow: [net.device, fs.state], settings: {mode: user}}"}


RELEASE = pytest.mark.parametrize("device", ["wireguard"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """The plugin directory with a signed stranger in it, and the signer's key."""
    if os.geteuid() != 0:
        pytest.skip("lab machines need root")
    if not os.environ.get("CLAN_CLEARDEV"):
        pytest.skip("CLAN_CLEARDEV and CLAN_LAB_SIGN name what the tests' build made")
    work = tmp_path_factory.mktemp("device")
    work.chmod(0o755)
    shutil.copytree(plugin_dir(), work / "plugins")
    shutil.copy(os.environ["CLAN_CLEARDEV"], work / "plugins/cleardev.so")
    key = subprocess.run([os.environ["CLAN_LAB_SIGN"], work / "plugins/cleardev.so"], check=True, capture_output=True, text=True)
    return str(work / "plugins"), key.stdout.strip()


def machine(lab, name, plugins, device, signed=True, start=True):
    m = lab.machine(name, start=False)
    m.sh(f"mount --bind {plugins[0]} {plugin_dir()}")
    with open(f"{m.dir}/etc/machine.yaml", "w") as f:
        f.write(f"version: 1\nplugins:\n  {DEVICES[device]}\n  {TCP}\nlisten: {{tcp-noise: [\"0.0.0.0:7117\"]}}\n")
        if signed:
            f.write(f'signatures: {{keys: {{tester: "{plugins[1]}"}}}}\n')
    if start:
        m.start()
    return m


@pytest.fixture(scope="module", params=list(DEVICES))
def device(request):
    return request.param


@pytest.fixture(scope="module")
def pair(plugins, device):
    with L.Lab() as lab:
        nas, laptop = (machine(lab, name, plugins, device) for name in ("nas", "laptop"))
        L.up(nas)
        order(nas, f"{device}, tcp-noise")
        L.wait_for(lambda: "reachable at 2 addresses" in nas.log(), what="an endpoint of each transport")
        L.admit(nas, laptop)
        both_use(nas, laptop, device)
        yield nas, laptop


@pytest.fixture(scope="module")
def one_stream(pair):
    s = Stream(*pair)
    yield s
    s.close()


@pytest.fixture
def stream(one_stream):
    """One connection lives through all of it."""
    one_stream.gap_ms()
    return one_stream


def gap(stream):
    """How long no echo came, when they come again."""
    worst = 0

    def again():
        nonlocal worst
        now = stream.gap_ms()
        worst = max(worst, now)
        return now < 300

    L.wait_for(again, what="echoes again")
    return worst


def address(m, of):
    return next(r["address"] for o in m.json("machines") for r in o["machines"] if r["name"] == of)


def device_of(m, of):
    return m.sh(f"ip -6 route get {address(m, of)}").stdout.split(" dev ")[1].split()[0]


def traffic(m, of):
    return next((r["rx_bytes"], r["tx_bytes"]) for o in m.json("machines") for r in o["machines"] if r["name"] == of)


def passed(m):
    return next(i["stats64"]["rx"]["bytes"] for i in json.loads(m.sh("ip -j -s link").stdout) if re.match("clan.*w$", i["ifname"]))


def mute(m):
    m.sh("nft add table inet mute; nft add chain inet mute in '{type filter hook input priority -5;}';"
         "nft add rule inet mute in udp dport 7120 drop")


def unmute(m):
    m.sh("nft delete table inet mute")


def kill(m, pattern):
    for pid in m.pids(pattern):
        os.kill(pid, signal.SIGKILL)


def test_a_stranger_carries_no_packets(lab, plugins):
    m = machine(lab, "poor", plugins, "cleardev", signed=False, start=False)
    done = m.clan("machine", "apply", "--yes", check=False)
    assert done.returncode and "could read and forge everything you send" in done.stdout + done.stderr


def test_packets_take_it(pair, device, stream):
    nas, laptop = pair
    for m, other in ((nas, "laptop"), (laptop, "nas")):
        assert device_of(m, other).endswith("w")
        outer = "10.77.0.1:7120" if m is laptop else "10.77.0.2:7120"  # not where its stream comes out
        assert paths(m, other)[0][device]["via"].startswith(outer), paths(m, other)
    before, counted = passed(nas), [traffic(m, other) for m, other in ((nas, "laptop"), (laptop, "nas"))]
    L.wait_for(lambda: passed(nas) > before + 20000, what="packets through the device")
    for (m, other), was in zip(((nas, "laptop"), (laptop, "nas")), counted):
        L.wait_for(lambda m=m, o=other, w=was: all(n > b + 2000 for n, b in zip(traffic(m, o), w)), what=f"{m.name} counts them")
    assert "carries packets in user space, UDP port 7120" in nas.log()
    assert any("in user space" in p["via"] for p in paths(nas, "laptop")[0].values()), paths(nas, "laptop")
    link = laptop.clan("invite", "--yes", check=False).stdout  # nobody joins by it
    assert device not in link


def test_udp_is_dropped(pair, device, stream):
    nas, laptop = pair
    mute(nas)
    both_use(nas, laptop, "tcp-noise")
    assert not device_of(nas, "laptop").endswith("w") and not device_of(laptop, "nas").endswith("w")
    ms = gap(stream)
    print(f"\nUDP dropped: {ms} ms without an echo")
    assert ms < 4000  # the figure is a bench's; keep-alives alone would take 15 s
    unmute(nas)
    both_use(nas, laptop, device, limit=60)
    print(f"and back: {gap(stream)} ms")


@RELEASE
def test_its_plugin_is_killed(pair, device, stream):
    nas, laptop = pair
    kill(laptop, f"clan-host {device}")
    L.wait_for(lambda: laptop.log().count(f"{device} is up") == 2, what="its next process")
    ms = gap(stream)
    print(f"\nplugin killed: {ms} ms")
    assert ms < 5000
    both_use(nas, laptop, device, limit=60)
    assert device_of(laptop, "nas").endswith("w")
    stream.gap_ms()


@RELEASE
@pytest.mark.parametrize("what", ["clan-core home", "clan-link home"])
def test_the_daemon_is_killed(pair, device, stream, what):
    nas, laptop = pair
    kill(laptop, what)
    L.wait_for(lambda: laptop.ping("nas", check=False).returncode == 0, what="the daemon is back")
    both_use(nas, laptop, device, limit=60)
    L.wait_for(lambda: device_of(laptop, "nas").endswith("w"), what="its routes are back")
    ms = gap(stream)
    print(f"\n{what} killed: {ms} ms")
    assert ms < 8000
    assert laptop.clan("status").returncode == 0 and in_use(laptop, "nas") == device


def record(of, on):
    """The number of that machine's record, as known here."""
    return next(r["record_seq"] for o in on.json("machines") for r in o["machines"] if r["name"] == of)


@RELEASE
def test_killed_cores_take_no_path_down(pair, stream):
    """A core that starts anew says nothing of its addresses before all its transports spoke: no record, no path lost."""
    nas, laptop = pair
    both_use(nas, laptop, "wireguard")
    before = record("nas", laptop), record("laptop", nas)
    adopted = [m.log().count("wireguard goes on as before") for m in pair]
    for m in pair:
        kill(m, "clan-core home")
    ready = {"wireguard": "in use", "tcp-noise": "spare"}
    L.wait_for(lambda: all({t: p["state"] for t, p in paths(a, b)[0].items()} == ready for a, b in ((nas, "laptop"), (laptop, "nas"))),
               limit=30, what="both paths again")
    L.wait_for(lambda: all(m.log().count("wireguard goes on as before") > n for m, n in zip(pair, adopted)), what="adopted transports")
    assert (record("nas", nas), record("laptop", laptop)) == before == (record("nas", laptop), record("laptop", nas))
    assert "speaks of peers" not in nas.log() + laptop.log()


def apply(m, change):
    """The clan's configuration, changed."""
    path, before = f"{m.dir}/home/clan.yaml", m.clan("config", "show").stdout
    with open(path, "w") as f:
        f.write(change(before))
    m.clan("config", "apply", path, "--yes")


@RELEASE
def test_a_service_that_it_may_not_carry(pair, stream):
    """Nobody looks into what a device carries, so the machine that holds such a service does without it: answers too."""
    nas, laptop = pair
    both_use(nas, laptop, "wireguard")
    stream.gap_ms()
    services = "services:\n  secret: {plugin: files, place: {on: nas}, via: [tcp-noise], allow: [all]}\n"
    apply(nas, lambda text: re.sub(r"services:.*\n", services, text))
    both_use(nas, laptop, "tcp-noise")
    for a, b in ((nas, "laptop"), (laptop, "nas")):
        row = paths(a, b)[0]["wireguard"]
        assert row["state"] == "not allowed" and row["barred"] == "only by tcp-noise, as clan.yaml says", row
    L.wait_for(lambda: not nas.pids("^clan-host wireguard"), what="the end of the device on the nas")
    assert laptop.pids("^clan-host wireguard"), "it may carry what others exchange"
    L.wait_for(lambda: "clan0w" not in nas.sh("ip -6 route show table all").stdout, what="no route through it")
    apply(nas, lambda text: text.replace(services, "services: {}\n"))
    both_use(nas, laptop, "wireguard", limit=60)
    assert stream.gap_ms() < 5000
