"""The overlay against neighbours, hostile peers, cut cables and forged packets."""

import re

import pytest

import lab as L


@pytest.fixture
def nas_and_laptop(lab):
    nas, laptop = lab.machine("nas"), lab.machine("laptop")
    L.up(nas)
    L.admit(nas, laptop)
    nas.ping("laptop")
    return nas, laptop


LISTEN = """
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 9999))
s.settimeout(float(sys.argv[2]))
try:
    print("heard", s.recvfrom(100)[1][0])
except TimeoutError:
    print("silence")
"""

SEND = """
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0))
for _ in range(20):
    s.sendto(b"as the laptop", (sys.argv[2], 9999))
"""


def forge(nas, neighbour, source, target):
    """A neighbour on the LAN sends to an overlay address with a member's overlay address as source."""
    lladdr = re.search(r"inet6 (fe80::\S+)/", nas.sh("ip -6 addr show dev eth0").stdout).group(1)
    neighbour.sh(f"ip -6 addr replace {source}/128 dev eth0 nodad; ip -6 route replace {target}/128 via {lladdr} dev eth0")
    heard = nas.popen("python3", "-c", LISTEN, target, "2", stdout=-1)
    L.wait_for(lambda: ":9999" in nas.sh("ss -Hlun sport = :9999").stdout, what="the listener")
    neighbour.run("python3", "-c", SEND, source, target)
    return heard.communicate(timeout=10)[0].strip()


def test_a_neighbour_cannot_speak_as_a_member(lab, nas_and_laptop):
    nas, laptop = nas_and_laptop
    neighbour = lab.machine("neighbour", start=False)
    target, source = nas.json("status")[-1]["address"], laptop.json("status")[-1]["address"]
    # the attack works where no firewall stands: else the test would prove nothing
    other = lab.machine("bare", start=False)
    other.sh("ip -6 addr add fd00:1::1/128 dev lo")
    assert forge(other, neighbour, "fd00:1::2", "fd00:1::1") == "heard fd00:1::2"
    assert forge(nas, neighbour, source, target) == "silence"
    nas.sh("sysctl -qw net.ipv6.conf.all.forwarding=1")
    assert forge(nas, neighbour, source, target) == "silence"
    nas.off()  # everything of ours is dead: the table stays
    nas.sh(f"ip -6 addr replace {target}/128 dev lo nodad")
    assert forge(nas, neighbour, source, target) == "silence"


def test_nothing_is_forwarded_to_the_lan(lab, nas_and_laptop):
    nas, laptop = nas_and_laptop
    nas.sh("sysctl -qw net.ipv6.conf.all.forwarding=1; ip -6 addr add fd00:9::1/64 dev eth0 nodad")
    behind = lab.machine("behind", start=False)
    behind.sh("ip -6 addr add fd00:9::2/64 dev eth0 nodad; ip -6 route add default via fd00:9::1")
    prefix = nas.json("status")[-1]["prefix"]
    behind.sh(f"ip -6 route replace {prefix} via fd00:9::1 dev eth0")
    address = laptop.json("status")[-1]["address"]
    assert behind.run("ping", "-6", "-c", "1", "-W", "1", address, check=False).returncode != 0


def test_closed_by_default(nas_and_laptop):
    nas, laptop = nas_and_laptop
    address = nas.json("status")[-1]["address"]
    server = nas.popen("python3", "-m", "http.server", "-b", "::", "8080", stdout=-3, stderr=-3)
    L.wait_for(lambda: ":8080" in nas.sh("ss -Hltn sport = :8080").stdout, what="the server")
    assert laptop.curl(f"http://[{address}]:8080/", check=False, timeout=3).returncode != 0
    server.kill()
    server.wait()


def test_cable_out_and_in(nas_and_laptop):
    nas, laptop = nas_and_laptop
    laptop.unplug()
    assert laptop.ping("nas", check=False).returncode != 0
    laptop.plug()
    L.wait_for(lambda: laptop.ping("nas", check=False).returncode == 0, limit=30, what="the overlay after the cable")


def test_names_and_path_mtu(nas_and_laptop):
    nas, laptop = nas_and_laptop
    out = laptop.sh("ping -6 -c 1 -s 1300 nas.home.clan").stdout
    assert "1 received" in out
    assert laptop.sh("getent hosts nas.home.clan").stdout.split()[0] == nas.json("status")[-1]["address"]
    resolver = re.sub(r"::/48$", "::53", nas.json("status")[-1]["prefix"])
    assert resolver.endswith("::53")
