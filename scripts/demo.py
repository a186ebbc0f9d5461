"""Three machines on one computer: founds a clan, joins two, shares files, and stays until Ctrl-C."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lab"))
import lab as L  # noqa: E402


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with L.Lab() as lab:
        nas, laptop, phone = (lab.machine(n) for n in ("nas", "laptop", "phone"))
        L.up(nas)
        print("nas founded the clan \"home\"", flush=True)
        link, words = L.invite(nas, "--uses", "2"), L.words(nas)
        for m in (laptop, phone):
            L.join(m, link, words)
            print(f"{m.name} joined by the link", flush=True)
        nas.clan("enable", "files", "--on", "nas", "--yes")
        L.wait_for(lambda: laptop.curl("http://files.home.clan/", check=False).returncode == 0, what="files")
        laptop.sh("echo 'hello from the laptop' | curl -gsS --fail -T - http://files.home.clan/hello.txt")
        print("phone reads what the laptop wrote: " + phone.curl("http://files.home.clan/hello.txt").stdout, flush=True)
        print(phone.clan("status").stdout)
        print("A shell on one of them (as root):")
        for m in (nas, laptop, phone):
            print(f"  {m.name}: " + " ".join(m.argv([])[:-1]) + f" env PATH={L.PREFIX}/bin:$PATH bash")
        print("Ctrl-C ends all three and leaves nothing behind.", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print()


main()
