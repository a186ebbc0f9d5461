"""The overlay against neighbours, other users, cut cables and forged packets."""

import hashlib
import re
import time

import pytest

import lab as L


def build(lab):
    nas, laptop = lab.machine("nas"), lab.machine("laptop")
    L.up(nas)
    L.admit(nas, laptop)
    nas.ping("laptop")
    return nas, laptop


@pytest.fixture
def two(shelf):
    return shelf.take(build)


def address(m):
    return m.json("status")[-1]["address"]


def prefix(m):
    return m.json("status")[-1]["prefix"]


# Until its own machine says so: what came before that, and from whom.
LISTEN = """
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 9999))
s.settimeout(20)
data, source = s.recvfrom(100)
print("silence" if data == b"end" else "heard " + source[0])
"""

END = """
import socket, sys
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"end", (sys.argv[1], 9999))
"""

SEND = """
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0))
for _ in range(20):
    s.sendto(b"as the laptop", (sys.argv[2], 9999))
"""

PYTHON = "/usr/bin/python3"


def aim(victim, neighbour, source, target):
    """The neighbour has source as an address of its own and reaches target over the cable."""
    for m in (victim, neighbour):
        L.wait_for(lambda m=m: "tentative" not in m.sh("ip -6 addr show dev eth0").stdout, what="an address of its own")
    lladdr = re.search(r"inet6 (fe80::\S+)/", victim.sh("ip -6 addr show dev eth0").stdout).group(1)
    neighbour.sh(f"ip -6 addr replace {source}/128 dev eth0 nodad; ip -6 route replace {target}/128 via {lladdr} dev eth0 src {source}")
    neighbour.run("ping", "-6", "-c", "1", "-W", "5", f"{lladdr}%eth0")  # it is there, and known by its link address


def forge(victim, neighbour, source, target):
    """What a listener at target hears when a neighbour on the LAN sends to it from source."""
    aim(victim, neighbour, source, target)
    return listened(victim, target, lambda: neighbour.run(PYTHON, "-c", SEND, source, target))


def listened(machine, target, say):
    heard = machine.popen(PYTHON, "-c", LISTEN, target, stdout=-1)
    L.wait_for(lambda: ":9999" in machine.sh("ss -Hlun sport = :9999").stdout, what="the listener")
    say()
    machine.run(PYTHON, "-c", END, target)
    return heard.communicate(timeout=30)[0].strip()


class Server:
    """A web server of the machine's root, at every address."""

    def __init__(self, machine, port=8080):
        self.process = machine.popen(PYTHON, "-m", "http.server", "-b", "::", "-d", machine.dir + "/home", str(port), stdout=-3, stderr=-3)
        L.wait_for(lambda: f":{port}" in machine.sh(f"ss -Hltn sport = :{port}").stdout, what="the server")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()


def reached(machine, target, *args):
    """Did a TCP connection come about?"""
    return machine.curl(f"http://[{target}]:8080/", *args, check=False, timeout=1).returncode == 0


def test_a_neighbour_cannot_speak_as_a_member(lab, measured):
    nas, laptop = build(lab)
    neighbour = lab.machine("neighbour", start=False)
    target, source = address(nas), address(laptop)
    # the attack works where no firewall stands: else the test would prove nothing
    bare = lab.machine("bare", start=False)
    bare.sh("ip -6 addr add fd00:1::1/128 dev lo; ip -6 route add fd00:1::2/128 dev eth0")
    assert forge(bare, neighbour, "fd00:1::2", "fd00:1::1") == "heard fd00:1::2"
    with Server(bare):
        assert reached(neighbour, "fd00:1::1")

    def nothing_gets_in():
        assert forge(nas, neighbour, source, target) == "silence"
        with Server(nas):
            assert reached(nas, target)
            assert not reached(neighbour, target)  # as the member
            neighbour.sh("ip -6 addr replace fd00:2::2/64 dev eth0 nodad")
            nas.sh("ip -6 addr replace fd00:2::1/64 dev eth0 nodad")
            assert reached(neighbour, "fd00:2::1")
            assert not reached(neighbour, target, "--interface", "fd00:2::2")  # as itself

    nothing_gets_in()
    nas.sh("sysctl -qw net.ipv6.conf.all.forwarding=1")
    nothing_gets_in()
    nas.off()  # everything of ours is dead: the table stays
    assert "clan0" not in nas.sh("ip link").stdout
    nas.sh(f"ip -6 addr replace {target}/128 dev lo nodad")
    nothing_gets_in()
    nas.sh(f"ip -6 addr del {target}/128 dev lo")
    began = time.monotonic()
    nas.start(apply=False)
    L.wait_for(lambda: nas.ping("laptop", check=False).returncode == 0, what="the clan after the power came back")
    measured("the clan works after the power came back", time.monotonic() - began)
    nas.clan("down")
    L.wait_for(lambda: "table inet clan_" not in nas.sh("nft list tables | grep -v clan_hosts", check=False).stdout, what="the table is gone")
    assert target.split(":")[0] not in nas.sh("ip -6 route; ip -6 addr; cat /etc/hosts").stdout
    nas.sh(f"ip -6 addr replace {target}/128 dev lo nodad")
    assert forge(nas, neighbour, source, target) == f"heard {source}"  # it was the table that stood in the way
    nas.sh(f"ip -6 addr del {target}/128 dev lo")
    began = time.monotonic()
    nas.clan("up", "--name", "home", "--no-questions")
    L.wait_for(lambda: nas.ping("laptop", check=False).returncode == 0, what="the clan is up again")
    measured("the clan works after clan up", time.monotonic() - began)


def test_nothing_is_forwarded(lab):
    nas, laptop = build(lab)
    nas.sh("sysctl -qw net.ipv6.conf.all.forwarding=1; ip -6 addr add fd00:9::1/64 dev eth0 nodad; ip -6 addr add fd00:8::1/128 dev lo")
    behind = lab.machine("behind", start=False)
    behind.sh("ip -6 addr add fd00:9::2/64 dev eth0 nodad; ip -6 route add default via fd00:9::1")
    behind.sh(f"ip -6 route replace {prefix(nas)} via fd00:9::1 dev eth0")
    assert behind.run("ping", "-6", "-c", "1", "-W", "1", "fd00:8::1", check=False).returncode == 0  # nas is its router
    dropped = f"nft list ruleset | grep -E 'ip6 daddr {prefix(nas)} counter packets [1-9]'"
    assert nas.sh(dropped, check=False).returncode != 0
    assert behind.run("ping", "-6", "-c", "1", "-W", "1", address(laptop), check=False).returncode != 0
    assert nas.sh(dropped, check=False).returncode == 0
    # the other way: a member that takes nas for a router to its LAN
    laptop.sh("ip -6 route add fd00:9::/64 dev clan0")
    assert laptop.run("ping", "-6", "-c", "1", "-W", "1", "fd00:9::2", check=False).returncode != 0


def test_closed_by_default(two):
    nas, laptop = two
    target = address(nas)
    with Server(nas):
        assert reached(nas, target)
        result = laptop.curl(f"http://[{target}]:8080/", check=False, timeout=3)
        assert result.returncode == 7, result.stderr  # refused at once, not a silence
    say = lambda: laptop.run(PYTHON, "-c", SEND, address(laptop), target, check=False)
    assert listened(nas, target, say) == "silence"


def connected(m, name):
    return next(x["connected"] for x in m.json("machines")[-1]["machines"] if x["name"] == name)


def test_cable_out_and_in(two, measured):
    nas, laptop = two
    laptop.ping("nas")
    for what in ("a short while", "a long while"):
        laptop.unplug()
        out = time.monotonic()
        assert laptop.ping("nas", check=False).returncode != 0
        L.wait_for(lambda: not connected(laptop, "nas"), limit=40, what="laptop notices")
        measured(f"{what} out: laptop notices after", time.monotonic() - out)
        if what == "a long while":  # by itself, without traffic
            L.wait_for(lambda: not connected(nas, "laptop"), limit=60, what="nas notices")
            measured(f"{what} out: nas notices after", time.monotonic() - out)
        laptop.plug()
        began = time.monotonic()
        L.wait_for(lambda: laptop.ping("nas", check=False).returncode == 0, limit=15, what="the overlay after the cable")
        measured(f"{what} out: back after", time.monotonic() - began)
        L.wait_for(lambda: nas.ping("laptop", check=False).returncode == 0, limit=15, what="and from the other side")


ONE = """
import socket, sys, time
if sys.argv[1] == "serve":
    s = socket.create_server((sys.argv[2], 8081), family=socket.AF_INET6)
    c = s.accept()[0]
    while data := c.recv(65536):
        c.sendall(data)
else:
    c = socket.create_connection((sys.argv[2], 8081), timeout=30)
    for _ in range(int(sys.argv[3])):
        c.sendall(b"x")
        assert c.recv(1) == b"x"
        print("echo", flush=True)
        time.sleep(0.05)
    print("whole", flush=True)
"""


def open_port(nas, port):
    """What `allow` of a service does, done by hand: the test is about the path, not about the firewall."""
    table = re.search(r"clan_[0-9a-f]{10}", nas.sh("nft list tables").stdout).group(0)
    nas.sh(f"nft insert rule inet {table} input tcp dport {port} accept")
    return table


def test_a_connection_outlives_the_cable(two, measured):
    nas, laptop = two
    open_port(nas, 8081)
    server = nas.popen(PYTHON, "-c", ONE, "serve", address(nas), stdout=-1)
    L.wait_for(lambda: ":8081" in nas.sh("ss -Hltn sport = :8081").stdout, what="the server")
    client = laptop.popen(PYTHON, "-c", ONE, "dial", address(nas), "60", stdout=-1)
    assert client.stdout.readline() == "echo\n"
    laptop.unplug()
    L.wait_for(lambda: not connected(laptop, "nas"), limit=40, what="laptop notices")
    laptop.plug()
    began = time.monotonic()
    out = client.communicate(timeout=60)[0]
    measured("the rest of the conversation took", time.monotonic() - began)
    assert out.endswith("whole\n") and client.returncode == 0
    server.wait(10)


def test_names(two):
    nas, laptop = two
    out = laptop.sh("ping -6 -c 1 nas.home.clan").stdout
    assert "1 received" in out
    assert laptop.sh("getent hosts nas.home.clan").stdout.split()[0] == address(nas)
    hosts = laptop.sh("cat /etc/hosts").stdout
    assert hosts.startswith("127.0.0.1 localhost\n::1 localhost\n# BEGIN clan home\n") and hosts.endswith("# END clan home\n")
    resolver = prefix(laptop).replace("::/48", "::53")

    def ask(name, *how):
        return laptop.run(PYTHON, "-c", L.RESOLVE, resolver, name, *how).stdout.strip()

    assert ask("nas.home.clan") == address(nas)
    assert ask("NAS.Home.clan") == address(nas)
    assert ask("nas.home.clan", "tcp") == address(nas)
    assert ask("laptop.home.clan") == address(laptop)
    assert ask("nobody.home.clan") == "3"  # no such name
    assert ask("example.com") == "5"  # not ours: refused
    # another machine does not answer at its resolver's address
    assert laptop.sh(f"ip -6 route get {resolver}").stdout.startswith("local")


NO_OFFLOADS = """
import array, fcntl, socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for command in (0x1f, 0x24):  # ETHTOOL_STSO, ETHTOOL_SGSO
    value = array.array("B", struct.pack("II", command, 0))
    fcntl.ioctl(s, 0x8946, struct.pack("16sP", b"eth0", value.buffer_info()[0]))
"""


def test_path_mtu(two):
    nas, laptop = two
    mtu = int(re.search(r"mtu (\d+)", laptop.sh("ip link show clan0").stdout).group(1))
    ping = lambda size: laptop.run("ping", "-6", "-c", "1", "-W", "5", "-M", "do", "-s", str(size), "nas.home.clan", check=False).returncode
    assert ping(mtu - 48) == 0  # 40 of IPv6, 8 of ICMPv6
    assert ping(mtu - 47) != 0
    open_port(nas, 8080)
    data = nas.sh(f"head -c 1000000 /dev/urandom | tee {nas.dir}/home/file | sha256sum").stdout.split()[0]
    nas.run(PYTHON, "-c", NO_OFFLOADS)  # else a packet on this cable may be as long as it likes
    # a tunnel under way, of which nobody tells: the sessions that are up have to find out by themselves
    laptop.sh("ip link set eth0 mtu 700; nft add table inet narrow; nft add chain inet narrow in '{type filter hook input priority 0;}';"
              "nft add rule inet narrow in iifname eth0 meta length gt 700 counter drop")
    try:
        with Server(nas):
            laptop.curl(f"http://[{address(nas)}]:8080/file", "-o", f"{laptop.dir}/home/got")
        assert hashlib.sha256(open(f"{laptop.dir}/home/got", "rb").read()).hexdigest() == data
        assert ping(mtu - 48) == 0
    finally:
        laptop.sh("ip link set eth0 mtu 1500; nft delete table inet narrow")


def test_chromium_looks_up_names_without_ipv6_internet(lab):
    probe = "2001:4860:4860::8888"  # Chromium connects a socket to it, sends nothing, and believes what the route says
    nas = L.up(lab.machine("nas"))
    assert " dev clan0 " in nas.sh(f"ip -6 route get {probe}").stdout
    nas.sh("ip -6 addr add fd00:9::2/64 dev eth0 nodad; ip -6 route add default via fd00:9::1")
    assert " dev eth0 " in nas.sh(f"ip -6 route get {probe}").stdout, "where there is IPv6 nothing else is used"
    nas.clan("down")
    L.wait_for(lambda: probe not in nas.sh("ip -6 rule; ip -6 route show table all").stdout, what="the end of the rule")
