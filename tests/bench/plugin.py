"""What a plugin's process costs: memory, a call of it, its return after SIGKILL, and the time of its check."""

import glob
import os
import re
import shutil
import struct
import subprocess
import tempfile
import time

import bench
import lab as L

TREE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILT = os.path.join(os.environ.get("CLAN_BUILD", os.path.join(TREE, "build/bench")), "bench")
GRANTS = """version: 1
plugins:
  hello: {allow: [net.service]}
  bench-empty: {allow: [net.service]}
  files: {allow: [fs.state, net.service, "exec:lighttpd"]}
"""
MUST = {"host_pss_mb": 0.7, "restart_ms": 50, "call_us": 30, "check_s": 10}

# Runs on the machine: kills a plugin's host and asks for its page. What served before is dead before the first
# question, so the answer is of the new one; the wait for that death is part of the time.
RESTART = """
import os, select, signal, socket, sys, time
name, commands = sys.argv[1], sys.argv[2:]
def pid_of(command):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/cmdline").read().replace("\\0", " ").startswith(command):
                return int(pid)
        except OSError:
            pass
    sys.exit(command + " does not run")
family, kind, _, _, address = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)[0]
request = f"GET / HTTP/1.1\\r\\nHost: {name}\\r\\nConnection: close\\r\\n\\r\\n".encode()
def ask():
    try:
        with socket.socket(family, kind) as s:
            s.settimeout(10)
            s.connect(address)
            s.sendall(request)
            return s.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
assert ask(), "it does not answer before it is killed"
pids = [pid_of(c) for c in commands]
alive = {os.pidfd_open(p) for p in pids}
start = time.monotonic()
os.kill(pids[0], signal.SIGKILL)
while alive:
    alive -= set(select.select(alive, [], [])[0])
gone = time.monotonic()
while not ask():
    assert time.monotonic() - gone < 20, "it does not come back"
print((time.monotonic() - start) * 1000)
"""


def plugin_dir():
    return next(d for lib in ("lib", "lib/*") for d in glob.glob(f"{L.PREFIX}/{lib}/clan/plugins-*"))


def build_hello(directory):
    """A stranger's first plugin: what `clan plugin new` writes, by its Makefile."""
    pc = [d for lib in ("lib", "lib/*") for d in glob.glob(f"{L.PREFIX}/{lib}/pkgconfig")]
    env = dict(os.environ, PKG_CONFIG_PATH=os.pathsep.join(pc))
    for command, where in (([f"{L.PREFIX}/bin/clan", "plugin", "new", "hello", "--kind", "service"], directory),
                           (["make", "-s", "hello.so"], f"{directory}/hello")):
        subprocess.run(command, cwd=where, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return f"{directory}/hello/hello.so"


def call(report):
    """Core's own channel code, a real clan-host in its sandbox, one question after the other."""
    count = 2000 if report.args.quick else 20000
    out = subprocess.run(
        [f"{BUILT}/host_call", f"{L.PREFIX}/libexec/clan/clan-host", f"{BUILT}/bench-empty.so", "bench-empty", str(count)],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout
    report.add("plugin/call_us", "us", [float(line) for line in out.split()], must=MUST["call_us"])


def check(report, plugins):
    rounds = 1 if report.args.quick else 3
    for name in ("files", "tcp-noise", "hello"):
        times = []
        for _ in range(rounds):
            start = time.monotonic()
            subprocess.run([f"{L.PREFIX}/bin/clan-plugin-check", f"{plugins}/{name}.so"], check=True,
                           stdout=subprocess.DEVNULL, timeout=120)
            times.append(time.monotonic() - start)
        report.add("plugin/check_s", "s", times, name, must=MUST["check_s"])


def pages(pid):
    """Physical pages that a process has in memory, by the mapping that holds them."""
    found = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb") as pagemap:
        for line in maps:
            words = line.split()
            low, high = (int(x, 16) for x in words[0].split("-"))
            if words[-1] in ("[vvar]", "[vsyscall]", "[vdso]"):
                continue
            pagemap.seek(low // 4096 * 8)
            entries = struct.unpack(f"{(high - low) // 4096}Q", pagemap.read((high - low) // 4096 * 8))
            # bit 63: in memory; below 55: which page
            numbers = {e & ((1 << 55) - 1) for e in entries if e >> 63}
            found.setdefault(words[5] if len(words) > 5 else "", set()).update(numbers - {0})
    return found


def pss_mb(pid, others, plugin):
    """Its share of memory when nothing but Clan runs on the machine: each page by the number of Clan's processes that
    have it (the kernel's PSS shares libc with all other programs too). Without the file of the plugin."""
    theirs = [set().union(*pages(p).values()) for p in others]
    total = 0.0
    for name, numbers in pages(pid).items():
        if not name.endswith(plugin):
            total += sum(4096 / (1 + sum(n in t for t in theirs)) for n in numbers)
    return total / 2**20


def kernel_pss_mb(pid):
    return int(re.search(r"^Pss: +(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M).group(1)) / 1024


def memory(report, nas):
    nas.clan("enable", "bench-empty", "--on", "nas", "--yes")
    host = nas.pids("^clan-host bench-empty")[0]
    others = [p for p in nas.pids("^(cland|clan-)") if p != host]
    value = pss_mb(host, others, "/bench-empty.so")
    report.add("plugin/host_pss_mb", "MB", [value], must=MUST["host_pss_mb"])
    report.note(f"  by the kernel, which shares with everything on this computer: {kernel_pss_mb(host):.2f} MB")


def restart(report, nas, service, *commands):
    """Each round is the first death of a process: a service that is enabled anew owes no back-off."""
    times = []
    for _ in range(3 if report.args.quick else 30):
        nas.clan("enable", service, "--on", "nas", "--yes")
        times.append(float(nas.run("/usr/bin/python3", "-c", RESTART, f"{service}.home.clan", *commands).stdout))
        nas.clan("disable", service, "--yes")
    report.add("plugin/restart_ms", "ms", times, service, must=MUST["restart_ms"])


def main():
    report = bench.Report("plugin")
    only = report.args.only
    if only in (None, "call"):
        call(report)
    with tempfile.TemporaryDirectory(prefix="clan-bench-") as work:
        os.chmod(work, 0o755)
        plugins = os.path.join(work, "plugins")
        shutil.copytree(plugin_dir(), plugins)
        shutil.copy(f"{BUILT}/bench-empty.so", plugins)
        shutil.copy(build_hello(work), plugins)
        if only in (None, "check"):
            check(report, plugins)
        if only in (None, "memory", "restart"):
            with L.Lab() as lab:
                nas = lab.machine("nas", start=False)
                nas.sh(f"mount --bind {plugins} {plugin_dir()}")
                with open(f"{nas.dir}/etc/machine.yaml", "w") as f:
                    f.write(GRANTS)
                nas.start()
                L.up(nas)
                if only in (None, "memory"):
                    memory(report, nas)
                if only in (None, "restart"):
                    restart(report, nas, "hello", "clan-host hello")
                    restart(report, nas, "files", "clan-host files", "lighttpd")
    report.end()


main()
