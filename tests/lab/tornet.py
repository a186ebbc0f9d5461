"""A private Tor network in a namespace of its own on the lab's switch: 3 authorities, 3 relays, no internet.

Times and options as measured on tor 0.4.9.11: short voting intervals, started on one of their boundaries, relays when the
authorities listen; clients come when every node holds a consensus with all of them.
"""

import os
import shutil
import subprocess
import time

import lab as L

NET = "198.51.100"  # routed, so that it is the internet and not the machines' own network
GATE = "10.77.0.200"
AUTHORITIES, RELAYS = 3, 3
INTERVAL, VOTE, DIST = 5, 2, 2
LIMIT = 90
MISSING_KEY = 0xF4  # to SOCKS: the onion service wants a client's key
COMMON = """TestingTorNetwork 1
PathsNeededToBuildCircuits 0.67
V3AuthNIntervalsValid 2
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
TestingMinExitFlagThreshold 0
AddressDisableIPv6 1
"""
RELAY = """ORPort {ip}:9001 IPv4Only
Address {ip}
SocksPort 0
AssumeReachable 1
ExitRelay 0
DoSCircuitCreationEnabled 0
DoSConnectionEnabled 0
ServerDNSDetectHijacking 0
ServerDNSTestAddresses
ServerDNSAllowBrokenConfig 1
ServerDNSResolvConfFile {dir}/resolv.conf
"""
AUTHORITY = f"""DirPort {{ip}}:9030
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ContactInfo nobody@example.invalid
TestingV3AuthInitialVotingInterval {INTERVAL}
TestingV3AuthInitialVoteDelay {VOTE}
TestingV3AuthInitialDistDelay {DIST}
V3AuthVotingInterval {2 * INTERVAL}
V3AuthVoteDelay {VOTE}
V3AuthDistDelay {DIST}
"""


def missing():
    """Why it cannot be, or None."""
    for program in ("tor", "tor-gencert"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            return f"{program} is not installed (Debian package tor; scripts/setup test installs it)"
    return None


class TorNet:
    def __init__(self, lab):
        self.lab, self.dir = lab, os.path.join(lab.dir, "tornet")
        self.port = None
        os.makedirs(self.dir)
        for name, text in (("empty", ""), ("resolv.conf", "nameserver 127.0.0.1\n")):
            with open(f"{self.dir}/{name}", "w") as f:
                f.write(text)
        self.nodes = {f"a{i}": f"{NET}.{i}" for i in range(1, AUTHORITIES + 1)}
        self.nodes.update({f"r{i}": f"{NET}.{20 + i}" for i in range(1, RELAYS + 1)})
        # a PID namespace: when its holder ends, so do all of them
        self.holder = L.Holder("mount --make-rprivate /; mount -t proc proc /proc; ip link set lo up",
                               ["--net", "--mount", "--pid"])
        try:
            lab.switch.attach(self, 200)
            script = f"ip link set eth0 up; ip addr add {GATE}/24 dev eth0;"
            script += "".join(f"ip addr add {ip}/32 dev lo;" for ip in self.nodes.values())
            self.run("sh", "-ec", script)
            self.confined(self.run)
            self._keys()
            self._start()
        except BaseException:
            self.close()
            raise

    def argv(self, args):
        return ["nsenter", "-t", str(self.holder.pid), "-m", "-n", "-p", "--", *args]

    def run(self, *args, check=True, **kw):
        return subprocess.run(self.argv(args), check=check, capture_output=True, text=True, timeout=60, **kw)

    def _keys(self):
        jobs = []
        for i in range(1, AUTHORITIES + 1):
            d, ip = f"{self.dir}/a{i}", self.nodes[f"a{i}"]
            os.makedirs(f"{d}/keys", mode=0o700)
            os.chmod(d, 0o700)
            script = f"""set -e; cd {d}/keys
echo pw | tor-gencert --create-identity-key -m 12 -a {ip}:9030 --passphrase-fd 0 -i authority_identity_key \
  -s authority_signing_key -c authority_certificate
tor --quiet --list-fingerprint --defaults-torrc {self.dir}/empty -f {self.dir}/empty --ORPort 1 --DataDirectory {d} \
  --DirAuthority "x 127.0.0.1:1 {'f' * 40}" """
            jobs.append(subprocess.Popen(self.argv(["bash", "-c", script]), stdout=subprocess.DEVNULL,
                                         stderr=subprocess.PIPE, text=True, env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin")))
        lines = []
        for i, job in enumerate(jobs, 1):
            err = job.communicate(timeout=60)[1]
            assert job.returncode == 0, err
            fp = "".join(open(f"{self.dir}/a{i}/fingerprint").read().split())[-40:]
            cert = open(f"{self.dir}/a{i}/keys/authority_certificate").read()
            v3 = next(l.split()[1] for l in cert.splitlines() if l.startswith("fingerprint "))
            lines.append(f"DirAuthority a{i} orport=9001 no-v2 v3ident={v3} {self.nodes[f'a{i}']}:9030 {fp}\n")
        self.common = COMMON + "".join(lines)
        assert self.common.count("\nDirAuthority ") == AUTHORITIES  # with one of these tor knows no other

    def _node(self, name, kind=None):
        d, ip = f"{self.dir}/{name}", self.nodes.get(name)
        os.makedirs(d, mode=0o700, exist_ok=True)
        if kind is None:
            kind = RELAY.format(ip=ip, dir=self.dir) + (AUTHORITY.format(ip=ip) if name[0] == "a" else "")
        with open(f"{d}/torrc", "w") as f:
            f.write(self.common + kind)
            f.write(f"DataDirectory {d}\nNickname {name}\nLog notice file {d}/log\nAvoidDiskWrites 1\nShutdownWaitLength 0\n")
        subprocess.Popen(
            self.argv(["/usr/sbin/tor", "--defaults-torrc", f"{self.dir}/empty", "-f", f"{d}/torrc", "--quiet"]),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=L._die_with_parent)

    def _known(self, name):
        try:
            text = open(f"{self.dir}/{name}/cached-microdesc-consensus").read()
        except FileNotFoundError:
            return 0
        return sum(line.startswith("r ") for line in text.splitlines())

    def _authorities_listen(self):
        return len(self.run("ss", "-Hltn", "sport = :9030").stdout.splitlines()) == AUTHORITIES

    def _start(self):
        # just after a boundary of the first interval, so that the first vote sees every descriptor
        time.sleep(INTERVAL - time.time() % INTERVAL)
        for name in self.nodes:
            if name == "r1":  # a relay whose first upload is refused retries too late for the first vote
                L.wait_for(self._authorities_listen, limit=INTERVAL, what="listening authorities")
            self._node(name)
        try:
            L.wait_for(lambda: all(self._known(n) == len(self.nodes) for n in self.nodes), limit=LIMIT,
                       what="a consensus with every node")
        except TimeoutError as e:
            raise TimeoutError(f"{e}\n{self.tail()}") from None

    def tail(self):
        out = ""
        for name in self.nodes:
            log = f"{self.dir}/{name}/log"
            lines = open(log).read().splitlines()[-3:] if os.path.exists(log) else []
            out += f"{name}: knows {self._known(name)}; " + " | ".join(lines) + "\n"
        return out

    def stranger(self, endpoint, reply):
        """Somebody with a tor and an onion's address, no more: until SOCKS answers with this byte (socks-extensions)."""
        log = f"{self.dir}/stranger/log"
        self._node("stranger", "SocksPort 127.0.0.1:9050 ExtendedErrors\n")
        L.wait_for(lambda: os.path.exists(log) and "Bootstrapped 100%" in open(log).read(), limit=60, what="the stranger's tor")
        name, port = endpoint
        ask = f"""import socket
s = socket.create_connection(("127.0.0.1", 9050), 60)
s.sendall(b"\\5\\1\\0")
s.recv(2, socket.MSG_WAITALL)
s.sendall(b"\\5\\1\\0\\3" + bytes([{len(name)}]) + b"{name}" + ({port}).to_bytes(2, "big"))
print(s.recv(2, socket.MSG_WAITALL)[1])"""
        L.wait_for(lambda: int(self.run("/usr/bin/python3", "-c", ask).stdout) == reply, limit=60, what=f"the answer {reply:#x}")

    def join(self, machine):
        """The machine's owner says which Tor network it is: a file of root's, which no clan can write."""
        self.confined(machine.run)
        machine.sh(f"ip route add {NET}.0/24 via {GATE}")
        os.makedirs(f"{machine.dir}/etc/tor")
        with open(f"{machine.dir}/etc/tor/torrc", "w") as f:
            f.write(self.common)

    @staticmethod
    def confined(run):
        """No relay of the public network may ever be asked: neither the torrc nor a route leads there."""
        for public in ("192.0.2.1", "2001:db8::1"):
            got = run("ip", "route", "get", public, check=False)
            assert got.returncode and "unreachable" in got.stderr, f"a tor would reach the internet here: {got.stdout}"

    def close(self):
        self.holder.close()
