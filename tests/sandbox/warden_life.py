#!/usr/bin/env python3
"""The warden's life with children that a test drives: run as root, it makes namespaces of its own.

usage: warden_life.py CLAND CHILD
"""
import encodings.idna  # noqa: F401  another user may not read it later
import hashlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

LIMIT = 20
CORE, LINK, RESOLVER, KEEPER, HOST, PROGRAM = range(1, 7)
(SEED, BIND, NET_UP, TUN, LOCAL, ADDR_ADD, ADDR_DEL, MEMBER, ALLOW, COMMIT, CLEAR, HOST_START, CHILD_END, RUN,
 KEEPER_START, N_BEGIN, N_ADD, N_COMMIT, DOWN, LEAVE, START, GRANTS, READY, DEADLINE) = range(1, 25)
ANSWER, LOCAL_ADDRS, CHILD, DIED = 100, 101, 102, 103
CLAN = bytes(range(0x10, 0x30))
PREFIX = bytes([0xfd]) + CLAN[:5]
OWN = PREFIX + bytes(9) + b"\x01"
PEER = PREFIX + bytes(9) + b"\x02"
SERVICE = PREFIX + bytes(9) + b"\x03"
TABLE = "clan_" + CLAN[:5].hex()


def until(what, condition, limit=LIMIT):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("not in %d s: %s" % (limit, what))


def out(*argv):
    return subprocess.run(argv, capture_output=True, text=True).stdout


class Lab:
    def __init__(self, cland, child):
        self.cland = cland
        self.dir = tempfile.mkdtemp(prefix="clan-warden-")
        os.chmod(self.dir, 0o755)
        self.cgroup = "clan-test-%d" % time.monotonic_ns()
        for name in ("libexec", "plugins", "run", "state"):
            os.mkdir(os.path.join(self.dir, name), 0o755)
        for name in ("core", "link", "resolver", "keeper", "host"):
            shutil.copy(child, os.path.join(self.dir, "libexec", "clan-" + name))
        self.process = None

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def start(self):
        before = len(self.log()) if os.path.exists(self.path("stderr")) else 0
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.settimeout(LIMIT)
        if os.path.exists(self.path("notify")):
            os.unlink(self.path("notify"))
        self.notify.bind(self.path("notify"))
        self.process = subprocess.Popen(
            [self.cland, "--cgroup", self.cgroup, "--run-dir", self.path("run"), "--state-dir", self.path("state"),
             "--grants", self.path("grants"), "--plugin-dir", self.path("plugins"), "--libexec-dir",
             self.path("libexec"), "--verbose"], env=dict(os.environ, NOTIFY_SOCKET=self.path("notify")), stderr=open(self.path("stderr"), "a"))
        until("new.sock", lambda: "listens at" in self.log()[before:])

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(LIMIT)
            self.process = None

    def remove_cgroup(self):
        """Ours and those of processes that a SIGKILL left without a warden to remove them."""
        mounts = [line.split()[1] for line in open("/proc/mounts") if line.split()[2] == "cgroup2"]
        for top, names, _ in os.walk(mounts[0]):
            if self.cgroup in names:
                own = os.path.join(top, self.cgroup)
                with open(own + "/cgroup.kill", "w") as f:  # after a failure some still run: they outlive their warden
                    f.write("1")
                for path in [e.path for e in os.scandir(own) if e.is_dir()] + [own]:
                    until("no process in " + path, lambda: "populated 0" in open(path + "/cgroup.events").read())
                    os.rmdir(path)
                return

    def log(self):
        with open(self.path("stderr")) as f:
            return f.read()

    def logged(self, pattern, limit=LIMIT):
        return until("log says " + pattern, lambda: re.search(pattern, self.log()), limit)

    def pids(self, name):
        found = []
        for p in os.listdir("/proc"):
            try:
                argv = open("/proc/%s/cmdline" % p).read().split("\0") if p.isdigit() else [""]
            except OSError:
                continue
            if argv[0] == name:
                found.append(int(p))
        return found

    def grants(self, plugin=None, data=b"", words=0, exec_=(), listen=()):
        plugins = b""
        if plugin:
            hash_ = hashlib.blake2b(data, digest_size=32).digest()
            one = struct.pack("<32s64s32s32sIIIIBB6x", plugin.encode(), (plugin + ".so").encode(), hash_, b"", words,
                              0, 0, 0, len(exec_), len(listen))
            one += b"".join(e.encode().ljust(32, b"\0") for e in exec_).ljust(8 * 32, b"\0")
            one += b"".join(struct.pack("<16sHBB", a, p, f, 0) for a, p, f in listen).ljust(8 * 20, b"\0")
            plugins = one + bytes(8 * (64 + 256))  # no settings
        size = 4 * 4 + 4 + 4 + 4 + 4 + 8 * 4 + 64
        each = 32 + 64 + 32 + 32 + 16 + 8 + 256 + 160 + 8 * (64 + 256)
        body = struct.pack("<IIIIIBBBBII32s64s", 0x434c4752, 2, size + 64 * each, 1 if plugin else 0, 1000, 0, 2, 0, 0,
                           0, 0, b"", b"") + plugins
        with open(self.path("grants"), "wb") as f:
            f.write(body.ljust(size + 64 * each, b"\0"))


class Core:
    """A connection to a core that passes on what it is told."""

    def __init__(self, lab, name="new"):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(lab.path("run", name + ".sock"))
        self.s.settimeout(LIMIT)
        self.file = self.s.makefile("r")
        self.serial = 0
        self.events = []

    def raw(self, data, word="raw"):
        self.s.sendall(("%s %s\n" % (word, data.hex())).encode())

    def read(self):
        line = self.file.readline()
        if not line:
            raise EOFError
        data, fds = line.split()
        data = bytes.fromhex(data)
        return struct.unpack_from("<II", data) + (data, int(fds))

    def ask(self, id_, body=b"", want=ANSWER):
        """(status, child, text, came with a descriptor)"""
        self.serial += 1
        self.raw(struct.pack("<II", id_, self.serial) + body)
        while True:
            kind, serial, data, fds = self.read()
            if kind == want and serial == self.serial:
                if kind != ANSWER:
                    return data
                child, flags, size, status = struct.unpack_from("<IIIi", data, 8)
                text = data[24:].split(b"\0")[0].decode()
                return status, child, text, fds
            self.events.append((kind, data, fds))

    def event(self, kind, check=lambda d: True):
        while True:
            for e in self.events:
                if e[0] == kind and check(e[1]):
                    self.events.remove(e)
                    return e
            k, _, data, fds = self.read()
            self.events.append((k, data, fds))

    def ended(self):
        try:
            while True:
                self.read()
        except (EOFError, OSError):
            return True


def bound(lab, petname="home"):
    core = Core(lab)
    assert core.ask(SEED, bytes(32))[0] == 0
    assert core.ask(BIND, CLAN + petname.encode().ljust(33, b"\0") + bytes(7))[3] == 1
    return core


def reach(lab):
    def attempt():
        try:
            return Core(lab, "home")
        except OSError:
            return None
    return until("bound core", attempt)


def child_of(data):
    id_, kind = struct.unpack_from("<II", data, 8)
    return id_, kind, data[16 + 33 + 32]  # adopted


def host_start(core, plugin, instance, service=0, port=0, address=bytes(16)):
    body = plugin.encode().ljust(32, b"\0") + instance.encode().ljust(33, b"\0")
    # service u8 at 73 -> port u16 aligned at 74
    body += struct.pack("<BH4x", service, port) + address
    return core.ask(HOST_START, body.ljust(32 + 33 + 1 + 2 + 4 + 16, b"\0"))


def empty(lab):
    until("no children", lambda: not lab.pids("clan-core") and not lab.pids("clan-link"))
    until("slots are empty", lambda: set(os.listdir(lab.path("state", "clans"))) <= {"kept"})  # room for a full disk


def test_hostile_cores(lab):
    """A core that leaves the table is killed and named; its slot goes with it."""
    head = struct.pack("<II", READY, 1)
    for data, word, says in (
            (struct.pack("<II", 77, 1), "raw", "an unknown request"),
            (struct.pack("<II", 0, 1), "raw", "an unknown request"),
            (b"abc", "raw", "a datagram shorter"),
            (head + b"x", "raw", "another length"),
            (struct.pack("<II", READY, 0), "raw", "without a serial"),
            (struct.pack("<II", DOWN, 1), "raw", "in a wrong state"),
            (struct.pack("<II", DEADLINE, 1), "raw", "in a wrong state"),
            (bytes(1500), "raw", "longer than any request"),
            (head, "des", "a descriptor")):
        before = len(lab.log())
        core = Core(lab)
        core.raw(data, word)
        assert core.ended()
        until(says, lambda: re.search(r"core\[\d+\] sent [^\n]*" + says, lab.log()[before:]))
    core = Core(lab)
    for serial in range(1, 30):
        core.raw(struct.pack("<II", LOCAL, serial))
    assert core.ended()
    lab.logged("a request too often")
    empty(lab)


def test_connection_end(lab):
    core = Core(lab)
    core.event(CHILD, lambda d: child_of(d)[1] == LINK)
    core.s.shutdown(socket.SHUT_RDWR)
    core.s.close()
    empty(lab)


def test_clan(lab):
    """Bind, net, firewall; link and core die alone; nothing else does."""
    core = bound(lab)
    core.event(CHILD, lambda d: child_of(d)[1] == LINK)
    assert os.stat(lab.path("state", "clans", "0", "seed")).st_mode & 0o777 == 0o600
    status, _, text, fds = core.ask(NET_UP, OWN + struct.pack("<II", 1420, 0))
    assert status == 0 and fds == 1, text
    rules = out("nft", "list", "table", "inet", TABLE)
    assert "speakers" in rules and "1000" in rules, rules
    show = out("ip", "-6", "-d", "addr", "show", "clan0")
    assert "scope global" in show and "fe80" not in show and "gso_max_size 61440" in show, show
    assert "::53/128" in show, show
    routes = out("ip", "-6", "route")
    assert re.search(r"unreachable fd10:1112:1314::/48", routes), routes
    assert re.search(r"\nfd10:1112:1314::/48 dev clan0[^\n]*src", "\n" + routes), routes
    until("resolver", lambda: lab.pids("clan-resolver"))
    assert core.ask(MEMBER, PEER + struct.pack("<II", 1, 0))[0] == 0
    assert core.ask(ALLOW, PEER + OWN + struct.pack("<HBBI", 80, 6, 1, 0))[0] == 0
    assert core.ask(MEMBER, bytes(16) + struct.pack("<II", 1, 0))[0] != 0
    status, _, text, _ = core.ask(COMMIT)
    assert status == 0, text
    rules = out("nft", "list", "table", "inet", TABLE)
    assert "fd10:1112:1314::2 . fd10:1112:1314::1 . tcp . 80" in rules, rules
    assert core.ask(MEMBER, PEER + struct.pack("<II", 0, 0))[0] == 0 and core.ask(COMMIT)[0] == 0
    rules = out("nft", "list", "set", "inet", TABLE, "members")
    assert "elements" not in rules, rules
    assert core.ask(ADDR_ADD, SERVICE)[0] == 0
    assert "::3/128" in out("ip", "-6", "addr", "show", "clan0")
    assert core.ask(READY)[0] == 0
    words = {lab.notify.recv(100) for _ in range(2)}
    assert words == {b"READY=1", b"WATCHDOG=1"}, words
    # names
    assert core.ask(N_BEGIN)[0] == 0
    assert core.ask(N_ADD, b"files.home.clan".ljust(72, b"\0") + SERVICE)[0] == 0
    assert core.ask(N_ADD, b"bad\nname".ljust(72, b"\0") + SERVICE)[0] != 0
    assert core.ask(N_COMMIT)[0] == 0
    hosts = open("/etc/hosts").read()
    assert "# BEGIN clan home\nfd10:1112:1314::3 files.home.clan\n# END clan home\n" in hosts, hosts
    # the link dies: once at once, then after 100 ms
    for wait in (0, 100, 200):
        pid = until("one link", lambda: lab.pids("clan-link"))[0]
        os.kill(pid, signal.SIGKILL)
        event = core.event(DIED)
        assert struct.unpack_from("<I", event[1], 12)[0] == LINK
        lab.logged(r"link\[\d+\] killed by signal 9[^\n]*starts again in %d ms" % wait)
        event = core.event(CHILD, lambda d: child_of(d)[1] == LINK)
        assert event[2] == 1 and child_of(event[1])[2] == 0
    # the core dies: the link lives, and the new core adopts it
    link = lab.pids("clan-link")
    lab.logged(r"core\[\d+\]: seed 0 bytes, state empty")
    core.s.sendall(b"die\n")
    lab.logged(r"core\[\d+\] [^\n]*a reason to die[^\n]*starts again in 0 ms")
    core = reach(lab)
    lab.logged(r"home core\[\d+\]: seed 32 bytes, state kept")
    event = core.event(CHILD, lambda d: child_of(d)[1] == LINK)
    assert child_of(event[1])[2] == 1 and event[2] == 1 and lab.pids("clan-link") == link
    status, _, text, fds = core.ask(NET_UP, OWN + struct.pack("<II", 1420, 0))
    assert status == 0 and fds == 1, text
    return core


def test_plugins(lab, core):
    """Grants bind to the file; a program runs with the service's socket; both end when the grant goes."""
    data = b"not a real plugin" * 100
    status, _, text, _ = host_start(core, "files", "files")
    assert status == 8 and "not granted" in text, (status, text)
    with open(lab.path("plugins", "files.so"), "wb") as f:
        f.write(data)
    lab.grants("files", data + b"x", 1 | 2, ["lighttpd"])
    assert core.ask(GRANTS)[0] == 0
    status, _, text, _ = host_start(core, "files", "files", 1, 80, SERVICE)
    assert status == 8 and "another file" in text, text
    lab.grants("files", data, 1 | 2, ["lighttpd"])
    assert core.ask(GRANTS)[0] == 0
    status, host, text, _ = host_start(core, "files", "files", 1, 80, SERVICE)
    assert status == 0, text
    assert core.event(CHILD, lambda d: child_of(d)[0] == host)[2] == 1
    if "SANITIZER BUILD" not in lab.log():
        lab.logged(r"host-files\[\d+\]: [^\n]*os-release[^\n]*refused")
        lab.logged(r"host-files\[\d+\]: [^\n]*\d{2,} refused calls more than 5 a second were dropped")
        # How many lines there are says how long it ran; a second has 5 of each of its processes.
        seconds = re.findall(r"T([\d:]+)\.\d+Z home host-files\[\d+\]: [^\n]*os-release refused", lab.log())
        assert max(map(seconds.count, seconds)) <= 20, seconds
    assert host_start(core, "files", "files", 1, 80, SERVICE)[0] == 6
    assert core.ask(RUN, struct.pack("<II", host, 0) + b"bash".ljust(32, b"\0"))[0] == 8
    if os.path.exists("/usr/sbin/lighttpd"):
        status, program, text, _ = core.ask(RUN, struct.pack("<II", host, 0) + b"lighttpd".ljust(32, b"\0"))
        assert status == 0, text
        page = until("the service answers", lambda: fetch(SERVICE))
        assert b"from the volume" in page, page
        with open("/proc/%d/environ" % lab.pids("lighttpd")[0], "rb") as f:
            assert b"LISTEN_FDS=1\0" in f.read()  # the service's socket, and nothing else
        os.kill(lab.pids("clan-host")[0], signal.SIGKILL)
        event = core.event(DIED, lambda d: struct.unpack_from("<I", d, 8)[0] == program)
        until("program ended", lambda: not lab.pids("lighttpd"))
        until("host again", lambda: lab.pids("clan-host"))
    lab.grants("files", data, 1, ["lighttpd"])  # less than before: what runs by the old grant ends
    assert core.ask(GRANTS)[0] == 0
    until("host ended", lambda: not lab.pids("clan-host"))
    status, _, text, _ = host_start(core, "files", "files", 1, 80, SERVICE)
    assert status == 8 and "may not answer" in text, text


def fetch(to):
    try:
        s = socket.create_connection((socket.inet_ntop(socket.AF_INET6, to), 80), 2)
        s.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
        data = b""
        while True:
            more = s.recv(4096)
            if not more:
                return data
            data += more
    except OSError:
        return b""


def connects(to, port, uid=0, source=None):
    """Whether a process of that user gets a TCP connection."""
    pid = os.fork()
    if pid:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status < 2
        return status == 0
    try:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        s = socket.create_connection((to, port), 1, source)
        s.close()
        os._exit(0)
    except OSError:
        os._exit(1)
    finally:
        os._exit(2)


class Neighbour:
    """A computer in the same LAN: 192.168.77.2, fd99::2, and (behind it) 203.0.113.5."""

    SERVER = """
import socket, sys
s = socket.create_server(("::", 9000), family=socket.AF_INET6, dualstack_ipv6=True)
print("up", flush=True)
while True:
    s.accept()[0].close()
"""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        until("namespace", lambda: os.readlink("/proc/%d/ns/net" % self.holder.pid) != os.readlink("/proc/self/ns/net"))
        for line in ("link add v0 type veth peer name v1 netns %d" % self.holder.pid, "link set v0 up",
                     "addr add 192.168.77.1/24 dev v0", "addr add fd99::1/64 dev v0 nodad",
                     "route add 203.0.113.0/24 via 192.168.77.2"):
            subprocess.run(["ip"] + line.split(), check=True)
        for line in ("link set lo up", "link set v1 up", "addr add 192.168.77.2/24 dev v1",
                     "addr add fd99::2/64 dev v1 nodad", "addr add 203.0.113.5/32 dev lo",
                     "addr add %s/128 dev lo" % socket.inet_ntop(socket.AF_INET6, PEER),
                     "route add fd10:1112:1314::/48 via fd99::1"):
            self.run("ip", *line.split())
        self.server = self.popen(sys.executable, "-c", self.SERVER)
        self.server.stdout.readline()

    def argv(self, *argv):
        return ["nsenter", "-t", str(self.holder.pid), "-n"] + list(argv)

    def popen(self, *argv):
        return subprocess.Popen(self.argv(*argv), stdout=subprocess.PIPE)

    def run(self, *argv):
        subprocess.run(self.argv(*argv), check=True)

    def forge(self, source, to, port, text):
        self.run(sys.executable, "-c", "import socket,sys\n"
                 "s=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM)\ns.bind((sys.argv[1],0))\n"
                 "s.sendto(sys.argv[4].encode(),(sys.argv[2],int(sys.argv[3])))", source, to, str(port), text)

    def end(self):
        for p in (self.server, self.holder):
            p.kill()
            p.wait()


def arrives(neighbour, udp, source):
    """Sends as `source` to our overlay address, then honestly to our LAN address: what came first?"""
    neighbour.forge(source, socket.inet_ntop(socket.AF_INET6, OWN), 5555, "to the overlay")
    neighbour.forge("fd99::2", "fd99::1", 5555, "to the LAN")
    first = udp.recvfrom(100)[0]
    return first == b"to the overlay" and udp.recvfrom(100)[0] == b"to the LAN"


def test_firewall(lab, core):
    """What a LAN neighbour, a local user and a plugin on the machine's network reach."""
    neighbour = Neighbour()
    server = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.bind(("::", 5555))
    udp.settimeout(LIMIT)
    own, peer = (socket.inet_ntop(socket.AF_INET6, a) for a in (OWN, PEER))
    until("LAN", lambda: connects("fd99::2", 9000))
    try:
        for source in (peer, "fd99::2"):
            assert not arrives(neighbour, udp, source), source
        table = out("nft", "list", "table", "inet", TABLE)
        subprocess.run(["nft", "delete", "table", "inet", TABLE], check=True)
        assert arrives(neighbour, udp, peer), "the attack itself does not work here"
        subprocess.run(["nft", "-f", "-"], input=table, text=True, check=True)
        # local users
        assert connects(own, 8080, 0) and connects(own, 8080, 1000)
        assert not connects(own, 8080, 1001) and connects("::1", 8080, 1001)
        # plugins on the machine's network
        data = b"transport"
        with open(lab.path("plugins", "tcp-noise.so"), "wb") as f:
            f.write(data)
        any6, any4 = bytes(16), bytes(10) + b"\xff\xff" + bytes(4)
        for words, lan, internet in ((4 | 8, True, False), (4 | 16, False, True), (4 | 8 | 16, True, True)):
            lab.grants("tcp-noise", data, words, (), ((any6, 7117, 6), (any4, 7117, 4)))
            assert core.ask(GRANTS)[0] == 0
            status, host, text, _ = host_start(core, "tcp-noise", "tcp-noise")
            assert status == 0, text
            uid = os.stat("/proc/%d" % until("host", lambda: lab.pids("clan-host"))[0]).st_uid
            uid = uid or int(re.search(r"Uid:\t(\d+)", open("/proc/%d/status" % lab.pids("clan-host")[0]).read())[1])
            assert uid >= 0x70000000
            assert connects("::1", 7117) and connects("127.0.0.1", 7117)
            assert connects("192.168.77.2", 9000, uid) == lan and connects("fd99::2", 9000, uid) == lan
            assert connects("203.0.113.5", 9000, uid) == internet
            for to in ("127.0.0.1", "::1", own, peer, "192.168.77.1"):
                assert not connects(to, 8080, uid), to
            assert core.ask(CHILD_END, struct.pack("<II", host, 1000))[0] == 0
            until("host ended", lambda: not lab.pids("clan-host"))
    finally:
        neighbour.end()
        server.close()
        udp.close()


def test_supervisor(lab):
    """The warden comes back; the supervisor's SIGKILL leaves no process, but the closed firewall."""
    old = set(lab.pids("clan-core"))
    os.kill(until("warden", lambda: lab.pids("cland: warden"))[0], signal.SIGKILL)
    began = time.monotonic()
    until("a new core", lambda: set(lab.pids("clan-core")) - old)
    reach(lab).ask(READY)
    print("all works %.2f s after SIGKILL of the warden" % (time.monotonic() - began))
    lab.process.kill()
    lab.process.wait()
    lab.process = None
    for name in ("cland: warden", "clan-core", "clan-link"):
        until("no " + name, lambda: not lab.pids(name))
    assert "chain input" in out("nft", "list", "table", "inet", TABLE)
    assert "unreachable fd10:1112:1314::/48" in out("ip", "-6", "route")
    lab.start()
    core = reach(lab)
    assert core.ask(NET_UP, OWN + struct.pack("<II", 1420, 0))[0] == 0
    return core


def test_down(lab, core):
    """Down removes firewall, routes and names for good; start brings the clan back; leave forgets it."""
    assert core.ask(DOWN)[0] == 0
    until("table gone", lambda: TABLE not in out("nft", "list", "tables"))
    until("nothing runs", lambda: not lab.pids("clan-core"))
    assert "fd10" not in out("ip", "-6", "route") and "clan home" not in open("/etc/hosts").read()
    lab.stop()
    lab.start()
    assert not lab.pids("clan-core")
    core = Core(lab)
    assert core.ask(START, b"nobody".ljust(40, b"\0"))[0] == 5
    assert core.ask(START, b"home".ljust(40, b"\0"))[0] == 0
    core = reach(lab)
    assert core.ask(LEAVE)[0] == 0
    until("forgotten", lambda: "0" not in os.listdir(lab.path("state", "clans")))
    lab.stop()
    assert not lab.pids("cland: warden") and not lab.pids("clan-core")


def inside(cland, child):
    subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    lab = Lab(cland, child)
    hosts = lab.path("hosts")
    shutil.copy("/etc/hosts", hosts)
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    try:
        lab.start()
        assert "clan machine apply" in lab.log()
        lab.grants()
        lab.stop()
        lab.start()
        for test in (test_hostile_cores, test_connection_end):
            test(lab)
            print("ok", test.__name__)
        core = test_clan(lab)
        print("ok test_clan")
        test_firewall(lab, core)
        print("ok test_firewall")
        test_plugins(lab, core)
        print("ok test_plugins")
        core = test_supervisor(lab)
        print("ok test_supervisor")
        test_down(lab, core)
        print("ok test_down")
    except BaseException:
        print(lab.log()[-6000:])
        raise
    finally:
        if lab.process:
            lab.process.kill()
            lab.process.wait()
        subprocess.run(["umount", "/etc/hosts"])
        lab.remove_cgroup()
        shutil.rmtree(lab.dir)


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit(77)
    if len(sys.argv) == 4:
        inside(sys.argv[1], sys.argv[2])
    else:
        sys.exit(subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", sys.executable,
                                 __file__, sys.argv[1], sys.argv[2], "inside"]).returncode)
