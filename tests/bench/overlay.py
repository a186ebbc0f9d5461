"""The overlay against packaged user-space VPNs, on the same two machines, in interleaved rounds.

User-space WireGuard is measured twice: as the path of two installed machines, and as the plugin under the SDK's host,
without Clan around it: what such a path can be at most.
"""

import contextlib
import json
import os
import re
import subprocess
import time

import bench
import lab as L
import peers
import tor
import wgnet

ALONE = "plugin alone"
ROUNDS, SECONDS = 5, 2


def iperf(a, b, address, seconds, *extra):
    """Gbit/s received at b; a sends."""
    server = b.popen("iperf3", "-s", "-1", "-B", address, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        L.wait_for(lambda: ":5201" in b.sh("ss -Hltn sport = :5201").stdout, limit=5, what="iperf3")
        out = a.run("iperf3", "-c", address, "-t", str(seconds), "-J", *extra, check=False, timeout=seconds + 30).stdout
        data = json.loads(out)
        total = data["end"]["sum"] if "-u" in extra else data["end"]["sum_received"]
        lost = 1 - total.get("lost_percent", 0) / 100 if "-u" in extra else 1
        return total["bits_per_second"] * lost / 1e9, total["bytes"] * lost / 1e9
    except (KeyError, ValueError, subprocess.TimeoutExpired):
        return None, None
    finally:
        server.kill()
        server.wait()


def ping_ms(m, address, count, interval):
    """A rate that an ordinary program could have, and none in a burst."""
    out = m.run("ping", "-n", "-i", str(interval), "-c", str(count), address, check=False, timeout=60).stdout
    return [float(t) for t in re.findall(r"time=([0-9.]+) ms", out)]


def cpu_seconds(*machines):
    total = 0.0
    for m in machines:
        for pid in m.pids(""):
            try:
                fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def opened(m):
    """The firewall is closed by default, and iperf3 is no service of the clan."""
    table = re.search(r"table inet (clan_[0-9a-f]{10})", m.sh("nft list tables").stdout).group(1)
    m.sh(f'nft insert rule inet {table} input iifname {{ "clan0", "clan0w" }} accept')


def clan_path(lab, a, b):
    L.up(a)
    L.admit(a, b)
    a.ping(b.name)
    for m in (a, b):
        opened(m)
    return b.json("status")[-1]["address"]


def measure(report, a, b, paths):
    rounds, seconds = (1, 2) if report.args.quick else (ROUNDS, SECONDS)
    kinds = {"tcp1_gbps": (), "tcp4_gbps": ("-P", "4"), "udp_gbps": ("-u", "-b", "0", "-l", "1300")}
    got = {(k, p): [] for k in [*kinds, "ping_p50_ms", "ping_p99_ms", "ping_loaded_ms", "cpu_s_per_gb"] for p in paths}
    for _ in range(rounds):
        for peer, address in paths.items():
            for kind, extra in kinds.items():
                before = cpu_seconds(a, b)
                rate, volume = iperf(a, b, address, seconds, *extra)
                got[kind, peer].append(rate)
                if kind == "tcp1_gbps" and volume:
                    got["cpu_s_per_gb", peer].append((cpu_seconds(a, b) - before) / volume)
            times = ping_ms(a, address, 100 if report.args.quick else 400, 0.01)
            got["ping_p50_ms", peer].append(bench.percentile(times, 0.5))
            got["ping_p99_ms", peer].append(bench.percentile(times, 0.99))
            load = b.popen("iperf3", "-s", "-1", "-B", address, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            L.wait_for(lambda: ":5201" in b.sh("ss -Hltn sport = :5201").stdout, limit=5, what="iperf3")
            client = a.popen("iperf3", "-c", address, "-t", str(seconds + 2), stdout=subprocess.DEVNULL)
            got["ping_loaded_ms", peer] += ping_ms(a, address, seconds * 50, 0.02)
            client.wait(seconds + 30)
            load.kill()
            load.wait()
    for (kind, peer), values in got.items():
        ratio = None
        if peer == "clan" and all(v is not None for v in values) and values:
            others = [bench.percentile(got[kind, p], 0.5) for p in paths
                      if p != "clan" and got[kind, p] and all(v is not None for v in got[kind, p])]
            best = (min if kind.endswith("_ms") or kind == "cpu_s_per_gb" else max)(others) if others else None
            ratio = bench.percentile(values, 0.5) / best if best else None
        report.add(f"overlay/{kind}", kind.rsplit("_", 1)[-1] if not kind.endswith("per_gb") else "s/GB", values, peer, ratio)


def carried_by(m, peer):
    """The transport in use."""
    rows = [row for o in m.json("paths", peer.name) for row in o.get("paths", [])]
    return next((row["transport"] for row in rows if row["in_use"]), None)


def wireguard_path(lab, mode):
    """Two machines whose packets take WireGuard, in user space ("user") or the kernel's ("kernel")."""
    a, b = lab.machine("nas", start=False), lab.machine("laptop", start=False)
    for m in (a, b):
        with open(f"{m.dir}/etc/machine.yaml", "w") as f:
            f.write("version: 1\nlisten: {tcp-noise: [\"0.0.0.0:7117\"]}\nplugins:\n"
                    f"  wireguard: {{allow: [net.device, fs.state], settings: {{mode: {mode}}}}}\n"
                    "  tcp-noise: {allow: [net.listen, \"net.connect:lan\", \"net.connect:internet\"]}\n")
        m.start()
    L.up(a)
    text = a.clan("config", "show").stdout
    with open(f"{a.dir}/home/clan.yaml", "w") as f:
        f.write(re.sub(r"order: \[[^]]*\]", "order: [wireguard, tcp-noise]", text))
    a.clan("config", "apply", f"{a.dir}/home/clan.yaml", "--yes")
    L.admit(a, b)
    L.wait_for(lambda: carried_by(a, b) == carried_by(b, a) == "wireguard", limit=30, what="packets by wireguard")
    for m in (a, b):
        opened(m)
    return a, b, b.json("status")[-1]["address"]


def wireguard_part(report):
    with L.Lab() as lab:
        a, b, address = wireguard_path(lab, "user")
        kernel = a.sh("ip link add wgtry type wireguard && ip link del wgtry", check=False).returncode == 0
        with peers.Peers(lab, a, b) as others, wireguard_alone(a, b) as alone:
            paths = {name: others.start(name) for name in peers.NAMES}
            measure_wireguard(report, a, b, {"clan": address, ALONE: alone}, paths)
            if carried_by(a, b) != "wireguard":
                report.bad.append("packets did not take wireguard to the end")
    if kernel:
        kernel_part(report)
    else:
        report.note("without the kernel's WireGuard: this kernel has none")
    handshakes(report)


def kernel_part(report):
    """The kernel's, set by the warden: what the user's one is chosen for only where this is missing."""
    with L.Lab() as lab:
        a, b, address = wireguard_path(lab, "kernel")
        with peers.Peers(lab, a, b) as others:
            measure_wireguard(report, a, b, {"clan-kernel": address}, {name: others.start(name) for name in peers.NAMES})


def measure_wireguard(report, a, b, ours, paths):
    """ours: what is compared with the best of `paths`, by its name."""
    rounds, seconds = (1, 2) if report.args.quick else (ROUNDS, SECONDS)
    got = {p: [] for p in [*ours, *paths]}
    for _ in range(rounds):
        for peer, address in {**ours, **paths}.items():
            got[peer].append(iperf(a, b, address, seconds)[0])
    best = max((bench.percentile(got[p], 0.5) for p in paths if None not in got[p]), default=None)
    for peer, values in got.items():
        ratio = bench.percentile(values, 0.5) / best if peer in ours and best and None not in values else None
        report.add("overlay/wg_tcp1_gbps", "gbps", values, peer, ratio, least_ratio=2 if peer == "clan" else None)


def handshakes(report):
    """On one core, without sockets: answers to good ones, all with cookies, and to bad ones a cookie reply each."""
    out = subprocess.run([f"{wgnet.BUILD}/bench/wg_rate", "2" if report.args.quick else "10"], check=True, capture_output=True, text=True)
    rates = [json.loads(line) for line in out.stdout.splitlines()]
    report.add("overlay/wg_handshakes_per_s", "/s", [r["good_per_s"] for r in rates], ALONE, least=3500)
    report.add("overlay/wg_bad_handshakes_per_s", "/s", [r["bad_per_s"] for r in rates], ALONE)


@contextlib.contextmanager
def wireguard_alone(a, b):
    sides = []
    try:
        for m, address in ((a, "fd00::1"), (b, "fd00::2")):
            sides.append(wgnet.Ours(m, address, dev="wgalone", port=7121))
        sides[0].peer(sides[1])
        sides[1].peer(sides[0], "")
        wgnet.pings(a, sides[1].address)
        yield sides[1].address
    finally:
        for s in sides:
            s.close()


def slow_line(report, lab, a, b, address):
    """A 1 Mbit/s line with a full upload: what the control stream still takes."""
    for m in (a, b):
        lab.switch.run("tc", "qdisc", "add", "dev", m.port, "root", "tbf", "rate", "1mbit", "burst", "4kb", "latency", "1s")
        m.sh("tc qdisc add dev eth0 root tbf rate 1mbit burst 4kb latency 1s")
    try:
        server = b.popen("iperf3", "-s", "-1", "-B", address, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        L.wait_for(lambda: ":5201" in b.sh("ss -Hltn sport = :5201").stdout, limit=5, what="iperf3")
        client = a.popen("iperf3", "-c", address, "-t", "25", stdout=subprocess.DEVNULL)
        time.sleep(5)  # the queue must be full: a span of time, not a condition
        times = []
        for _ in range(5 if report.args.quick else 20):
            result = a.json("ping", "-c", "1", "--control", b.name, check=False)[-1]
            times.append(result.get("control_rtt_ms"))
        client.kill()
        client.wait()
        server.kill()
        server.wait()
        report.add("overlay/slow_control_ms", "ms", times)
    finally:
        for m in (a, b):
            lab.switch.run("tc", "qdisc", "del", "dev", m.port, "root")
            m.sh("tc qdisc del dev eth0 root")


def main():
    report = bench.Report("overlay")
    only = report.args.only
    tor.measure(report, iperf, ping_ms, opened)
    if only == "tor":
        report.end()
    if only in (None, "wg"):
        wireguard_part(report)
    if only == "wg":
        report.end()
    with L.Lab() as lab:
        a, b = lab.machine("nas"), lab.machine("laptop")
        paths = {"clan": clan_path(lab, a, b)}
        with peers.Peers(lab, a, b) as others:
            for name in peers.NAMES:
                paths[name] = others.start(name)
            if only in (None, "fast"):
                measure(report, a, b, paths)
        if only in (None, "slow"):
            slow_line(report, lab, a, b, paths["clan"])
    report.end()


main()
