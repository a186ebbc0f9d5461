"""A phone with nothing but WireGuard (wireguard-go from Debian): through its gateway to what `allow` opens, and nowhere else."""

import os
import re
import shutil
import signal
import stat
import subprocess

import pytest

import lab as L
from test_examples import FILES, TCP, order

WIREGUARD = "wireguard: {allow: [net.device, fs.state]}"
OUTSIDE = "2001:db8:5"


class Phone:
    """What a phone's app does with a configuration."""

    def __init__(self, m, config):
        self.m, self.config = m, config
        self.address = re.search(r"Address = (\S+)/128", config)[1]
        self.clan = re.search(r"AllowedIPs = (\S+)", config)[1]
        self.gateway = re.search(r"PublicKey = (\S+)", config)[1]
        mtu = re.search(r"MTU = (\d+)", config)[1]
        m.sh("mkdir -p /run/wireguard; mount -t tmpfs none /run/wireguard") # its sockets are nobody else's
        self.process = m.popen("bash", "-c", "WG_PROCESS_FOREGROUND=1 exec wireguard-go -f wg0",
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        L.wait_for(lambda: m.sh("wg show wg0", check=False).returncode == 0, limit=10, what="wireguard-go")
        # as wg-quick does
        m.sh("grep -vE '^(Address|MTU|DNS) ' > /tmp/clan-lab-wg; wg setconf wg0 /tmp/clan-lab-wg; rm /tmp/clan-lab-wg", input=config)
        m.sh(f"ip addr add {self.address}/128 dev wg0 nodad; ip link set wg0 mtu {mtu} up; ip -6 route add {self.clan} dev wg0")

    def opens(self, url):
        return self.m.curl(url, "--fail", check=False, timeout=3).returncode == 0

    def pings(self, address, source=None):
        args = ["-I", source] if source else []
        return self.m.run("ping", "-6", "-n", "-c", "1", "-W", "1", *args, address, check=False).returncode == 0

    def close(self):
        self.process.kill()
        self.process.wait()


def member(lab, name, *plugins):
    m = lab.machine(name, start=False)
    listed = "\n  ".join((TCP, *plugins))
    with open(f"{m.dir}/etc/machine.yaml", "w") as f:
        f.write(f"version: 1\nplugins:\n  {listed}\nlisten: {{tcp-noise: [\"0.0.0.0:7117\"]}}\n")
    m.start()
    return m


def rows(m):
    return {r["name"]: r for o in m.json("machines") for r in o["machines"]}


def allow(m, who):
    text = m.clan("config", "show").stdout
    path = f"{m.dir}/home/clan.yaml"
    with open(path, "w") as f:
        f.write(re.sub(r"allow: \[[^]]*\]", f"allow: [{who}]", text))
    m.clan("config", "apply", path, "--yes")


@pytest.fixture(scope="module")
def clan():
    """nas: the gateway; desk: holds the files; pixel: no Clan on it."""
    if os.geteuid() != 0:
        pytest.skip("lab machines need root")
    for program in ("wg", "wireguard-go"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (scripts/setup test)")
    with L.Lab() as lab:
        nas, desk = member(lab, "nas", WIREGUARD), member(lab, "desk", FILES)
        pixel = lab.machine("pixel", start=False)
        for m in (nas, desk, pixel): # a LAN that the phone is not to reach through the tunnel
            m.sh(f"ip addr add {OUTSIDE}::{m.number}/64 dev eth0 nodad")
        L.up(nas)
        order(nas, "wireguard, tcp-noise")
        L.wait_for(lambda: "carries packets" in nas.log(), what="the device")
        L.admit(nas, desk)
        refused = desk.clan("invite", "--phone", "pixel", check=False)
        assert refused.returncode != 0 and "does not speak WireGuard" in refused.stderr, refused
        nas.clan("enable", "files", "--on", "desk", "--yes")
        yield nas, desk, pixel


def url_of(m):
    service = next(s for o in m.json("services") for s in o["services"] if s["name"] == "files")
    return f"http://[{service['address']}]/"


def test_a_phone_comes_is_limited_and_goes(clan):
    nas, desk, pixel = clan
    L.wait_for(lambda: nas.curl("http://files.home.clan/", check=False).returncode == 0, what="files on nas")
    url = url_of(nas)
    made = nas.json("invite", "--phone", "pixel", "--endpoint", nas.address)[-1]
    assert (made["machine"], made["gateway"], made["standing"], made["carried"]) == ("pixel", "nas", "member", True)
    assert made["endpoint"] == f"{nas.address}:7120"
    phone = Phone(pixel, made["config"])
    try:
        # another member's service, through the gateway; the gateway itself; names stay outside
        L.wait_for(lambda: phone.opens(url), what="files on the phone")
        assert phone.pings(rows(nas)["nas"]["address"])
        assert phone.pings(rows(nas)["desk"]["address"])
        L.wait_for(lambda: rows(nas)["pixel"]["connected"], what="the phone as connected")
        row = rows(nas)["pixel"]
        assert row["phone_behind"] == "nas" and row["address"] == phone.address
        L.wait_for(lambda: rows(desk).get("pixel", {}).get("phone_behind") == "nas", what="the phone on desk's list")
        invited = next(i for o in nas.json("invite", "list") for i in o["invitations"] if i["for"] == "pixel")
        assert (invited["phone_behind"], invited["state"], invited["guests"]) == ("nas", "used up", ["pixel"])
        # members reach it, and only through its gateway
        assert desk.run("ping", "-6", "-n", "-c", "1", "-W", "2", phone.address, check=False).returncode == 0
        # as long as `allow` says so
        allow(nas, "nas")
        L.wait_for(lambda: not phone.opens(url), what="the refusal")
        assert phone.pings(rows(nas)["desk"]["address"]) # it is no failure of the way
        nas.clan("machines", "rename", "pixel", "pixel", "--yes") # as for any machine, clan.yaml has to know the name
        allow(nas, "pixel")
        L.wait_for(lambda: phone.opens(url), what="files on the phone again")
        # a core that is started anew finds it as it was
        for pid in nas.pids("^clan-core"):
            os.kill(pid, signal.SIGKILL)
        L.wait_for(lambda: phone.opens(url), what="files after the core's death")
        L.wait_for(lambda: nas.clan("status", check=False).returncode == 0, what="the core")
        nothing_beside_the_clan(nas, desk, phone)
        nas.clan("remove", "pixel", "--yes")
        assert not phone.opens(url)
        assert not phone.pings(rows(nas)["nas"]["address"])
        assert "netdev" not in nas.sh("nft list tables").stdout
        assert [r["standing"] for r in rows(nas).values() if r["address"] == phone.address] == ["removed"]
    finally:
        phone.close()


def nothing_beside_the_clan(nas, desk, phone):
    """A phone that sends what it wants, through a gateway that forwards for others."""
    nas.sh("echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
    phone.m.sh(f"wg set wg0 peer '{phone.gateway}' allowed-ips ::/0; ip addr add fd00:1::1/128 dev wg0 nodad;"
               f" ip addr add {phone.clan.split('/')[0]}77/128 dev wg0 nodad")
    for target in (f"{OUTSIDE}::{desk.number}", f"{OUTSIDE}::{nas.number}"):
        phone.m.sh(f"ip -6 route replace {target}/128 dev wg0")
        assert not phone.pings(target, phone.address), target
    for source in ("fd00:1::1", phone.clan.split("/")[0] + "77"):
        assert not phone.pings(rows(nas)["desk"]["address"], source), source
    assert phone.pings(rows(nas)["desk"]["address"], phone.address)


def test_a_file_that_only_its_maker_reads(clan):
    nas, _, _ = clan
    path = f"{nas.dir}/home/tablet.conf"
    said = nas.clan("invite", "--phone", "tablet", "--file", path)
    assert "PrivateKey" not in said.stdout + said.stderr and "tablet" in said.stderr
    text = open(path).read()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert f"Endpoint = [{OUTSIDE}::{nas.number}]:7120\n" in text # not a private one
    assert re.search(r"PrivateKey = \S{44}\n", text)
    assert "PrivateKey" not in nas.log()
    again = nas.clan("invite", "--phone", "other", "--file", path, check=False)
    assert again.returncode != 0 and open(path).read() == text and "other" not in rows(nas)
