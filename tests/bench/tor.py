"""The overlay between two machines that share nothing but a private Tor network: the computer's cost, not the internet's."""

import json

import lab as L
import tornet

ROUNDS, SECONDS, PINGS = 3, 8, 60
GRANT = 'version: 1\nplugins:\n  tor: {allow: [fs.state, "net.connect:internet", "exec:tor"]}\n'


def wanted(report):
    return report.args.only == "tor" or (report.args.only is None and not report.args.quick)


def machine(lab, net, name):
    m = lab.machine(name, start=False)
    net.join(m)
    with open(f"{m.dir}/etc/machine.yaml", "w") as f:
        f.write(GRANT)
    m.start()
    return m


def said_link(m, name):
    """None while its door has no address yet."""
    result = m.clan("--json", "invite", "--for", name, check=False)
    return None if result.returncode else result.stdout


def joined(a, b):
    L.up(a)
    said = L.wait_for(lambda: said_link(a, b.name), limit=60, what="a link by Tor")
    link = json.loads(said.splitlines()[-1])["link"]
    b.clan("join", "-", "--yes", "--fingerprint", L.words(a), input=link + "\n", timeout=120)
    L.wait_for(lambda: b.ping(a.name, check=False).returncode == 0, limit=60, what="a path by Tor")


def measure(report, iperf, ping_ms, opened):
    """iperf, ping_ms: those of the overlay's bench; opened(m): the firewall lets anything in."""
    if not wanted(report):
        return
    if tornet.missing():
        report.note(f"without tor: {tornet.missing()}")
        return
    with L.Lab() as lab:
        net = tornet.TorNet(lab)
        try:
            a, b = machine(lab, net, "nas"), machine(lab, net, "laptop")
            joined(a, b)
            for m in (a, b):
                opened(m)
            address, rates, times = b.json("status")[-1]["address"], [], []
            for _ in range(1 if report.args.quick else ROUNDS):
                times += ping_ms(a, address, PINGS, 0.25)
                gbps = iperf(a, b, address, SECONDS)[0]
                rates.append(None if gbps is None else gbps * 1000)
            report.add("overlay/tor_ping_ms", "ms", times)
            report.add("overlay/tor_tcp1_mbps", "Mbit/s", rates)
        finally:
            net.close()
