"""Packaged user-space VPNs between two lab machines; each on an interface of its own."""

import json
import os

import lab as L

NAMES = ("wireguard-go", "nebula", "tinc", "yggdrasil")


class Peers:
    def __init__(self, lab, a, b):
        self.a, self.b, self.dir = a, b, os.path.join(lab.dir, "peers")
        os.makedirs(self.dir)
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for p in self.processes:
            p.kill()
            p.wait()

    def _run(self, m, name, *args, **kw):
        log = open(os.path.join(self.dir, f"{name}-{m.name}.log"), "w")
        self.processes.append(m.popen(*args, stdout=log, stderr=log, **kw))
        log.close()

    def _write(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        return path

    def start(self, name):
        address = getattr(self, name.replace("-", "_"))()
        L.wait_for(lambda: self.a.run("ping", "-c", "1", "-W", "1", address, check=False).returncode == 0,
                   limit=20, what=f"{name} between the two")
        return address

    def wireguard_go(self):
        for m, i in ((self.a, 1), (self.b, 2)):
            self._run(m, "wg", "bash", "-c", f"WG_PROCESS_FOREGROUND=1 exec wireguard-go -f wg{i}")
            m.sh(f"umask 077; wg genkey > {self.dir}/wg{i}.key; wg pubkey < {self.dir}/wg{i}.key > {self.dir}/wg{i}.pub")
        for m, i, other in ((self.a, 1, self.b), (self.b, 2, self.a)):
            j = 3 - i
            L.wait_for(lambda m=m, i=i: m.sh(f"wg show wg{i}", check=False).returncode == 0, what="wireguard-go")
            m.sh(f"wg set wg{i} private-key {self.dir}/wg{i}.key listen-port 700{i} peer $(cat {self.dir}/wg{j}.pub) "
                 f"endpoint {other.address}:700{j} allowed-ips 10.78.0.{j}/32; "
                 f"ip addr add 10.78.0.{i}/24 dev wg{i}; ip link set wg{i} up mtu 1420")
        return "10.78.0.2"

    def nebula(self):
        self.a.sh(f"cd {self.dir} && nebula-cert ca -name t && nebula-cert sign -name n1 -ip 10.79.0.1/24 && "
                  "nebula-cert sign -name n2 -ip 10.79.0.2/24")
        for m, i in ((self.a, 1), (self.b, 2)):
            path = self._write(f"nebula{i}.yml", f"""pki: {{ca: {self.dir}/ca.crt, cert: {self.dir}/n{i}.crt, key: {self.dir}/n{i}.key}}
static_host_map: {{"10.79.0.1": ["{self.a.address}:4242"], "10.79.0.2": ["{self.b.address}:4242"]}}
lighthouse: {{am_lighthouse: false, interval: 60, hosts: []}}
listen: {{host: 0.0.0.0, port: 4242}}
tun: {{dev: nebula{i}, mtu: 1300}}
firewall: {{outbound: [{{port: any, proto: any, host: any}}], inbound: [{{port: any, proto: any, host: any}}]}}
""")
            self._run(m, "nebula", "nebula", "-config", path)
        return "10.79.0.2"

    def tinc(self):
        names = {1: self.a, 2: self.b}
        for i, m in names.items():
            d = f"{self.dir}/tinc{i}"
            self._write(f"tinc{i}/tinc.conf", f"Name = n{i}\nInterface = tinc{i}\nAddressFamily = ipv4\n"
                        + ("ConnectTo = n2\n" if i == 1 else ""))
            self._write(f"tinc{i}/hosts/n{i}", f"Address = {m.address}\nSubnet = 10.80.0.{i}/32\n")
            up = self._write(f"tinc{i}/tinc-up", f"#!/bin/sh\nip addr add 10.80.0.{i}/24 dev $INTERFACE; ip link set $INTERFACE up mtu 1400\n")
            os.chmod(up, 0o755)
            m.run("tincd", "-c", d, "-K", "2048", input="")
        self.a.sh(f"cp {self.dir}/tinc1/hosts/n1 {self.dir}/tinc2/hosts/; cp {self.dir}/tinc2/hosts/n2 {self.dir}/tinc1/hosts/")
        for i, m in names.items():
            self._run(m, "tinc", "tincd", "-c", f"{self.dir}/tinc{i}", "-D", f"--pidfile={self.dir}/tinc{i}.pid")
        return "10.80.0.2"

    def yggdrasil(self):
        for m, i in ((self.b, 2), (self.a, 1)):  # whoever is dialled first
            config = json.loads(m.run("yggdrasil", "-genconf", "-json").stdout)
            config.update(AdminListen=f"unix://{self.dir}/ygg{i}.sock", MulticastInterfaces=[], IfName=f"ygg{i}",
                          Listen=[f"tcp://{m.address}:9001"] if i == 2 else [],
                          Peers=[f"tcp://{self.b.address}:9001"] if i == 1 else [])
            path = self._write(f"ygg{i}.json", json.dumps(config))
            self._run(m, "yggdrasil", "yggdrasil", "-useconffile", path)
            if i == 2:
                L.wait_for(lambda: ":9001" in m.sh("ss -Hltn sport = :9001").stdout, what="yggdrasil's listener")
        L.wait_for(lambda: "inet6 2" in self.b.sh("ip -6 addr show dev ygg2", check=False).stdout, what="yggdrasil")
        out = self.b.sh("ip -6 -o addr show dev ygg2").stdout
        return next(w.split("/")[0] for w in out.split() if w.startswith("2") and "/" in w and ":" in w)
