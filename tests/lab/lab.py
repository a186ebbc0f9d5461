"""Lab machines: one unnamed set of namespaces each, with private state, on a private switch.

A machine is one `unshare` holder; when the holder dies everything in it dies, namespaces and mounts with it.
It runs the installed binaries of CLAN_PREFIX.  Nothing here touches the network of the computer it runs on.
"""

import contextlib
import ctypes
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

PREFIX = os.environ.get("CLAN_PREFIX", "/usr/local")
CGROUP_ROOT = next(
    (line.split()[1] for line in open("/proc/mounts") if line.split()[2] == "cgroup2"), None
)
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)
PIDS = os.stat("/proc/self/ns/pid").st_ino  # this PID namespace


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def wait_for(condition, limit=20.0, what="the condition"):
    """Polls a condition; returns its value.  The limit is a guard, not a measure."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come true within {limit} s")
        time.sleep(0.02)


class Failed(Exception):
    def __init__(self, args, result):
        self.result = result
        super().__init__(f"{args}: exit {result.returncode}\n{result.stdout}\n{result.stderr}")


class Holder:
    """Namespaces kept alive by one process."""

    def __init__(self, script, flags):
        self.process = subprocess.Popen(
            ["unshare", *flags, "--fork", "--kill-child", "bash", "-c", script + "\necho ready; exec sleep infinity"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            preexec_fn=_die_with_parent,
            text=True,
        )
        line = self.process.stdout.readline()
        if line.strip() != "ready":
            raise RuntimeError(f"a lab machine did not start: {line!r}")
        pid = self.process.pid
        self.pid = int(open(f"/proc/{pid}/task/{pid}/children").read().split()[0])

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Switch:
    """A bridge in a namespace of its own."""

    def __init__(self):
        self.holder = Holder("ip link set lo up; ip link add sw type bridge; ip link set sw up", ["--net"])

    def attach(self, machine, port):
        tmp = f"lab{os.getpid() % 100000}p{port}"
        subprocess.run(
            ["ip", "link", "add", tmp, "type", "veth", "peer", "name", "eth0", "netns", str(machine.holder.pid)],
            check=True,
        )
        subprocess.run(["ip", "link", "set", tmp, "netns", str(self.holder.pid)], check=True)
        self.run("ip", "link", "set", tmp, "master", "sw", "up")
        machine.port = tmp

    def run(self, *args):
        return subprocess.run(["nsenter", "-t", str(self.holder.pid), "-n", *args], check=True)

    def close(self):
        self.holder.close()


class Machine:
    def __init__(self, lab, name, address):
        self.lab, self.name, self.address = lab, name, address
        self.number = next(_numbers)
        self.dir = os.path.join(lab.dir, name)
        self.cgroup = f"clan-lab-{PIDS}-{os.getpid()}-{self.number}"
        self.daemon = None
        for sub in ("run", "state", "etc", "home"):
            os.makedirs(os.path.join(self.dir, sub))
        with open(os.path.join(self.dir, "hosts"), "w") as f:
            f.write("127.0.0.1 localhost\n::1 localhost\n")
        open(os.path.join(self.dir, "resolv.conf"), "w").close()
        self.holder = Holder(
            f"""set -e
mount --make-rprivate /
mount -t proc proc /proc
mount --bind {self.dir}/run /run/clan
mount --bind {self.dir}/state /var/lib/clan
mount --bind {self.dir}/etc /etc/clan
mount --bind {self.dir}/hosts /etc/hosts
[ ! -e /etc/resolv.conf ] || mount --bind {self.dir}/resolv.conf /etc/resolv.conf
hostname {name}
ip link set lo up""",
            ["--net", "--mount", "--pid", "--uts", "--cgroup"],
        )
        lab.switch.attach(self, self.number)
        self.sh(f"ip link set eth0 up; ip addr add {address}/24 dev eth0")

    # -- commands inside --
    def argv(self, args):
        return ["nsenter", "-t", str(self.holder.pid), "-m", "-n", "-p", "-u", "-C", "--", *args]

    def env(self):
        env = dict(os.environ)
        env.update(HOME=f"{self.dir}/home", XDG_CONFIG_HOME=f"{self.dir}/home/.config", NO_COLOR="1", LC_ALL="C.UTF-8")
        env["PATH"] = f"{PREFIX}/bin:{PREFIX}/sbin:" + env["PATH"]
        for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            env.pop(proxy, None)
        return env

    def run(self, *args, check=True, input=None, timeout=60):
        result = subprocess.run(
            self.argv(args), env=self.env(), input=input, capture_output=True, text=True, timeout=timeout,
            stdin=subprocess.DEVNULL if input is None else None,
        )
        if check and result.returncode != 0:
            raise Failed(args, result)
        return result

    def popen(self, *args, **kw):
        return subprocess.Popen(self.argv(args), env=self.env(), preexec_fn=_die_with_parent, text=True, **kw)

    def sh(self, script, **kw):
        return self.run("bash", "-c", script, **kw)

    def clan(self, *args, **kw):
        return self.run(f"{PREFIX}/bin/clan", *args, **kw)

    def json(self, *args, **kw):
        """The objects that a command prints with --json, one a line; the last one when there is one."""
        out = self.clan("--json", *args, **kw).stdout
        objects = [json.loads(line) for line in out.splitlines() if line.strip()]
        assert objects and all(o.get("v") == 1 for o in objects), out
        return objects

    # -- the daemon --
    def start(self, *extra, apply=True):
        if apply:
            self.clan("machine", "apply", "--yes")
        log = open(os.path.join(self.dir, "cland.log"), "a")
        self.daemon = self.popen(
            f"{PREFIX}/sbin/cland", "--uid-base", str(0x70000000 + self.number * 0x10000), "--cgroup", self.cgroup,
            *extra, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )
        log.close()
        wait_for(lambda: os.path.exists(f"{self.dir}/run/new.sock"), what=f"cland on {self.name}")

    def stop(self):
        """As on shutdown: SIGTERM to cland."""
        if self.daemon:
            daemons = self.pids("^cland")
            for pid in daemons:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            try:
                self.daemon.wait(10)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
            self.daemon = None
            self._gone(daemons)
        self._no_sockets()

    def _gone(self, pids):
        """Dead, also when nobody has asked how."""

        def lives(pid):
            try:
                return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
            except (FileNotFoundError, ProcessLookupError):
                return False

        wait_for(lambda: not any(lives(p) for p in pids), what=f"the end of {self.name}'s processes")

    def _no_sockets(self):
        for name in os.listdir(f"{self.dir}/run"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.dir}/run/{name}")

    def off(self):
        """As when the power fails: everything gone at once."""
        doomed = [p for p in self.pids("") if p not in (self.holder.pid, self.holder.process.pid)]
        for pid in doomed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.daemon:
            self.daemon.wait()
            self.daemon = None
        self._gone(doomed)
        self._no_sockets()

    def unplug(self):
        self.lab.switch.run("ip", "link", "set", self.port, "down")

    def plug(self):
        self.lab.switch.run("ip", "link", "set", self.port, "up")

    def pids(self, pattern):
        """Pids (outside) of this machine's processes whose command line matches."""
        net = os.readlink(f"/proc/{self.holder.pid}/ns/uts")
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/ns/uts") != net and not self._descends(int(pid)):
                    continue
                line = open(f"/proc/{pid}/cmdline").read().replace("\0", " ").strip()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if re.search(pattern, line):
                found.append(int(pid))
        return found

    def _descends(self, pid):
        roots = {self.holder.pid, self.daemon.pid if self.daemon else 0}
        while pid > 1:
            if pid in roots:
                return True
            try:
                pid = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                return False
        return False

    def log(self):
        text = open(f"{self.dir}/cland.log").read() if os.path.exists(f"{self.dir}/cland.log") else ""
        logs = f"{self.dir}/state/log"
        for name in sorted(os.listdir(logs)) if os.path.isdir(logs) else []:
            text += f"--- {name}\n" + open(os.path.join(logs, name), errors="replace").read()
        return text

    # -- what tests often ask --
    def standing(self):
        return self.json("status")[-1]["standing"]

    def health(self):
        return [h for o in self.json("status") for h in o.get("health", [])]

    def ping(self, name, check=True):
        return self.clan("ping", "-c", "1", name, check=check)

    def curl(self, url, *args, check=True, timeout=20):
        return self.run("curl", "-gsS", "--max-time", str(timeout), *args, url, check=check, timeout=timeout + 10)

    def close(self):
        self.off()
        self.holder.close()
        if CGROUP_ROOT:
            root = os.path.join(CGROUP_ROOT, self.cgroup)
            for path, _, _ in sorted(os.walk(root), key=lambda e: -len(e[0])):
                wait_for(lambda p=path: _rmdir(p), limit=5, what=f"removing {path}")


def _rmdir(path):
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


def _stale_cgroups():
    """What a test run that was killed could not take down itself."""
    for name in os.listdir(CGROUP_ROOT) if CGROUP_ROOT else []:
        # a run in another PID namespace is not ours to judge: its pids mean nothing here
        found = re.fullmatch(rf"clan-lab-{PIDS}-(\d+)-\d+", name)
        if not found or os.path.exists(f"/proc/{found.group(1)}"):
            continue
        root = os.path.join(CGROUP_ROOT, name)
        with contextlib.suppress(OSError):
            with open(os.path.join(root, "cgroup.kill"), "w") as f:
                f.write("1")
        for path, _, _ in sorted(os.walk(root), key=lambda e: -len(e[0])):
            with contextlib.suppress(OSError):
                os.rmdir(path)


def _stale_dirs():
    """The same of their directories; namespaces and mounts have gone with the processes."""
    for name in os.listdir(tempfile.gettempdir()):
        found = re.fullmatch(rf"clan-lab-{PIDS}-(\d+)-\w+", name)
        if found and not os.path.exists(f"/proc/{found.group(1)}"):
            shutil.rmtree(os.path.join(tempfile.gettempdir(), name), ignore_errors=True)


class Lab:
    def __init__(self, keep_logs=None):
        _stale_cgroups()
        _stale_dirs()
        self.dir = tempfile.mkdtemp(prefix=f"clan-lab-{PIDS}-{os.getpid()}-")
        os.chmod(self.dir, 0o755)
        self.keep_logs = keep_logs
        # mount points of every machine; they stay, empty: removing one would detach the mounts of other labs
        for d in ("/run/clan", "/var/lib/clan", "/etc/clan"):
            os.makedirs(d, exist_ok=True)
        self.switch = Switch()
        self.machines = []

    def machine(self, name, address=None, start=True):
        m = Machine(self, name, address or f"10.77.0.{len(self.machines) + 1}")
        self.machines.append(m)
        if start:
            m.start()
        return m

    def close(self):
        for m in self.machines:
            m.close()
        self.switch.close()
        if self.keep_logs:
            os.makedirs(self.keep_logs, exist_ok=True)
            for m in self.machines:
                with open(os.path.join(self.keep_logs, f"{m.name}.log"), "w") as f:
                    f.write(m.log())
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


# Asks a name server for an AAAA record; prints the address, or the response code.
RESOLVE = """
import ipaddress, socket, struct, sys
server, name = sys.argv[1:3]
q = struct.pack(">6H", 7, 256, 1, 0, 0, 0)
q += b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\\0" + struct.pack(">2H", 28, 1)
if sys.argv[3:] == ["tcp"]:
    s = socket.create_connection((server, 53), timeout=3)
    s.sendall(struct.pack(">H", len(q)) + q)
    f = s.makefile("rb")
    a = f.read(struct.unpack(">H", f.read(2))[0])
else:
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.settimeout(3)
    s.connect((server, 53))
    s.send(q)
    a = s.recv(4096)
assert a[:2] == q[:2], "another question's answer"
rcode, count = a[3] & 15, struct.unpack(">H", a[6:8])[0]
print(ipaddress.ip_address(a[len(q) + 12:len(q) + 28]) if rcode == 0 and count else rcode)
"""


# -- the story, in steps --


def people(m):
    """Of a machine in a clan: place of a person, from 1 -> the address of loopback where a plugin answers that one."""
    slot = int(re.search(r"home: bound to slot (\d+)", m.log())[1])
    return lambda place: f"127.{64 + slot}.117.{place}"


def up(m, name="home"):
    m.clan("up", "--name", name, "--machine", m.name, "--no-questions")
    return m


def invite(m, *args):
    """The link; it is what --json calls "link"."""
    return m.json("invite", *args)[-1]["link"]


def words(m):
    """The clan's six words."""
    return m.json("status")[-1]["words"]


def admit(admin, m, *args):
    """m joins by a link of its own, under its own name."""
    join(m, invite(admin, "--for", m.name, *args), words(admin))
    return m


def rename(admin, m):
    """The admins name who came by a link for several."""
    admin.clan("machines", "rename", m.json("status")[-1]["machine"], m.name, "--yes")


def join(m, link, fingerprint, *args, check=True):
    return m.clan("join", "-", "--yes", "--fingerprint", fingerprint, *args, input=link + "\n", check=check)
