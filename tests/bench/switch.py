"""What two open connections notice when packets move to another transport: one died, one is preferred again.

--only takes dead, planned, a transport's name (the pairs with it) or a pair, "wireguard>tcp-noise", also with
":dead" or ":planned" behind it.  Each round is told as it ends: a run that is cut short has said what it measured."""

import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import bench
import lab as L
import streams
import tornet

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "sdk", "examples")
ROUNDS = 10
WINDOW_S = 2.5  # a connection that is silent for all of it counts as that
PLANNED_MUST_MS, PLANNED_WORST_MS = 50, 200  # what nobody notices; this computer itself is silent for 50 now and then
PARTS = ("dead", "planned")
NET = '"net.connect:lan", "net.connect:internet"'


class Transport:
    """What machine.yaml says of it, and what of nft finds its packets ({side}: s or d)."""

    def __init__(self, name, allow, listen=None, match=None, example=False, must=1000):
        self.name, self.allow, self.listen, self.match, self.example, self.must = name, allow, listen, match, example, must

    def missing(self):
        """Why it cannot take part here, or None."""
        if self.name == "tor" and tornet.missing():
            return tornet.missing()
        if not self.example and not os.path.exists(f"{plugin_dir()}/{self.name}.so"):
            return f"the plugin {self.name} is not installed"
        return None


# Another transport is another line, and a line of PAIRS.
TRANSPORTS = (
    Transport("wireguard", "net.device, fs.state", "0.0.0.0:7120", "udp {side}port 7120"),
    Transport("tcp-noise", f"net.listen, {NET}", "0.0.0.0:7117", "tcp {side}port 7117"),
    Transport("websocket", f"net.listen, {NET}", "0.0.0.0:7180", "tcp {side}port 7180", example=True),
    Transport("tor", 'fs.state, "net.connect:internet", "exec:tor"', None, f"ip {{side}}addr {tornet.NET}.0/24", must=40000),
)
# The first is in use, the second one waits; then the other way round.
PAIRS = (("wireguard", "tcp-noise"), ("tcp-noise", "websocket"), ("tcp-noise", "tor"))


def plugin_dir():
    return glob.glob(f"{L.PREFIX}/lib*/clan/plugins-*")[0]


def plugins_with_example(lab, name):
    """A plugin directory with the example beside what is installed."""
    built, all_of_them = f"{lab.dir}/build-{name}", f"{lab.dir}/plugins-{name}"
    for command in (["cmake", "-S", f"{EXAMPLES}/{name}", "-B", built, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                     f"-DCMAKE_PREFIX_PATH={L.PREFIX}"], ["ninja", "-C", built, f"{name}.so"]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    shutil.copytree(plugin_dir(), all_of_them)
    shutil.copy(f"{built}/{name}.so", all_of_them)
    return all_of_them


class Pair:
    """Two machines with two transports between them, and two connections."""

    def __init__(self, lab, first, second):
        self.transports, self.net = (first, second), None
        if "tor" in (first.name, second.name):
            self.net = tornet.TorNet(lab)
        example = next((plugins_with_example(lab, t.name) for t in self.transports if t.example), None)
        self.nas, self.laptop = (self._machine(lab, name, example) for name in ("nas", "laptop"))
        L.up(self.nas)
        self.order(first, second)
        L.wait_for(lambda: self.nas.log().count("reachable at") and self._endpoints() >= 2, limit=120, what="an endpoint of each transport")
        L.admit(self.nas, self.laptop)
        self.settle(first)
        self.streams = streams.Streams(self.nas, self.laptop)

    def _endpoints(self):
        found = re.findall(r"reachable at (\d+) address", self.nas.log())
        return int(found[-1]) if found else 0

    def _machine(self, lab, name, plugins):
        m = lab.machine(name, start=False)
        if self.net:
            self.net.join(m)
        if plugins:
            m.sh(f"mount --bind {plugins} {plugin_dir()}")
        with open(f"{m.dir}/etc/machine.yaml", "w") as f:
            f.write("version: 1\nplugins:\n" + "".join(f"  {t.name}: {{allow: [{t.allow}]}}\n" for t in self.transports)
                    + "listen: {" + ", ".join(f'{t.name}: ["{t.listen}"]' for t in self.transports if t.listen) + "}\n")
        m.start()
        return m

    def close(self):
        self.streams.close()
        if self.net:
            self.net.close()

    def machines(self):
        return ((self.nas, "laptop"), (self.laptop, "nas"))

    def order(self, *transports):
        path = f"{self.nas.dir}/home/clan.yaml"
        text = self.nas.clan("config", "show").stdout
        with open(path, "w") as f:
            f.write(re.sub(r"order: \[[^]]*\]", f"order: [{', '.join(t.name for t in transports)}]", text))
        self.nas.clan("config", "apply", path, "--yes")

    def states(self):
        """{machine: {transport: state}}"""
        return {m.name: {p["transport"]: p["state"] for p in m.json("paths", other)[-1]["paths"]} for m, other in self.machines()}

    def settle(self, used):
        """Packets go by this one and the other one is ready, at both ends."""
        good = {t.name: "in use" if t is used else "spare" for t in self.transports}
        L.wait_for(lambda: all(s == good for s in self.states().values()), limit=90, what=f"packets by {used.name}, with a spare")

    def uses(self, transport):
        return all(s.get(transport.name) == "in use" for s in self.states().values())

    def forget(self):
        """A core that starts anew has no memory of failures, which would let the next round wait for longer."""
        for m, _ in self.machines():
            for pid in m.pids("^clan-core [^-]"):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)

    def mute(self, t):
        rules = "".join(f"add rule inet mute {chain} {t.match.format(side=side)} drop\n" for chain in ("in", "out") for side in "sd")
        self.nas.run("nft", "-f", "-", input="add table inet mute\nadd chain inet mute in {type filter hook input priority -5;}\n"
                     "add chain inet mute out {type filter hook output priority -5;}\n" + rules)

    def unmute(self):
        self.nas.sh("nft delete table inet mute")


class Measured:
    """The gaps of both connections, by what was done."""

    def __init__(self, pair):
        self.pair, self.values, self.lost = pair, {}, []

    def begin(self):
        self.pair.streams.gaps()

    def end(self, what):
        gaps = self.pair.streams.gaps()
        print(f"  {what}: " + ", ".join(f"{name} {ms:.0f} ms" for name, (ms, _) in gaps.items()), file=sys.stderr, flush=True)
        for name, (ms, error) in gaps.items():
            self.values.setdefault((what, name), []).append(ms)
            if error:
                self.lost.append(f"{what}: the {name}: {error}")


def quiet(measured):
    """Nothing is done: what this computer does to the connections by itself."""
    measured.begin()
    time.sleep(WINDOW_S)
    measured.end("none")


def dies(pair, measured, used, other, rounds):
    slow = used.must > 1000
    for _ in range(max(1, rounds // 4) if slow else rounds):
        pair.forget()
        pair.settle(used)
        quiet(measured)
        measured.begin()
        pair.mute(used)
        time.sleep(used.must / 1000 if slow else WINDOW_S)
        measured.end("dead_path")
        assert pair.uses(other), pair.states()
        pair.unmute()
        pair.settle(used)


def planned(pair, measured, used, other, rounds):
    """The order changes: the other one proves itself for 2 s, then packets move."""
    for i in range(rounds):
        a, b = (used, other) if i % 2 == 0 else (other, used)
        pair.settle(a)
        pair.order(b, a)
        time.sleep(1)
        measured.begin()
        L.wait_for(lambda: pair.uses(b), limit=30, what=f"packets by {b.name}")
        time.sleep(0.5)
        measured.end("planned")
    pair.order(used, other)


def chosen(only, there):
    """(pairs in both directions, parts) of --only."""
    by_name = {t.name: t for t in there}
    pairs = [(by_name[x], by_name[y]) for a, b in PAIRS if a in by_name and b in by_name for x, y in ((a, b), (b, a))]
    names, _, part = (only or "").partition(":")
    if names in PARTS:
        names, part = "", names
    if names:
        pairs = [p for p in pairs if names in (p[0].name, p[1].name, f"{p[0].name}>{p[1].name}")]
    if not pairs or part not in ("", *PARTS):
        sys.exit(f"--only {only} names nothing that is measured here: dead, planned, "
                 + ", ".join(t.name for t in there) + ", or FIRST>SECOND: " + ", ".join(f"{a}>{b}" for a, b in PAIRS))
    return pairs, (part,) if part else PARTS


def measure(report, first, second, parts):
    rounds = 2 if report.args.quick else ROUNDS
    name = f"{first.name}>{second.name}"
    with L.Lab() as lab:
        pair = Pair(lab, first, second)
        measured = Measured(pair)
        try:
            if "dead" in parts:
                dies(pair, measured, first, second, rounds)
            if "planned" in parts:
                planned(pair, measured, first, second, rounds)
        finally:
            pair.close()
    # to a path that is slower by itself, the difference of both round trips is part of the silence
    alike = second.must == first.must
    must = {"dead_path": first.must, "planned": PLANNED_MUST_MS if alike else None}
    worst = {"dead_path": first.must, "planned": PLANNED_WORST_MS if alike else None}
    for (what, stream), values in measured.values.items():
        metric = "tor_dead" if what == "dead_path" and first.name == "tor" else what
        report.add(f"switch/{metric}_ms", "ms", values, f"{name} {stream}", must=must.get(what), worst=worst.get(what))
    report.note(f"{name}: {len(measured.lost)} connections lost")
    report.bad += measured.lost


def main():
    report = bench.Report("switch")
    there = []
    for t in TRANSPORTS:
        why = t.missing()
        if why:
            report.note(f"without {t.name}: {why}")
        else:
            there.append(t)
    pairs, parts = chosen(report.args.only, there)
    for first, second in pairs:
        measure(report, first, second, parts)
    report.end()


main()
