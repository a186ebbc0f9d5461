"""Three machines on one computer: founds a clan, joins two, shares files, and stays until Ctrl-C."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lab"))
import lab as L  # noqa: E402

SHELL = """\
#!/bin/sh
# A shell, or the given command, on one machine of the demonstration.
[ $# -gt 0 ] || set -- bash --norc
exec nsenter -t {pid} -m -n -p -u -C -- env -u http_proxy -u https_proxy HOME={home} XDG_CONFIG_HOME={home}/.config \\
    PS1='{name}# ' PATH={prefix}/bin:$PATH "$@"
"""


def say(text=""):
    print(text, flush=True)


def shell_of(lab, m):
    """A short command that opens a shell on the machine."""
    path = os.path.join(lab.dir, f"on-{m.name}")
    with open(path, "w") as f:
        f.write(SHELL.format(pid=m.holder.pid, home=f"{m.dir}/home", name=m.name, prefix=L.PREFIX))
    os.chmod(path, 0o755)
    return path


def story(lab):
    say("\nThree machines start; each has its own network card on one switch, and knows nobody.")
    nas, laptop, phone = (lab.machine(n) for n in ("nas", "laptop", "phone"))
    L.up(nas)
    words = L.words(nas)
    say(f"nas      founded the clan home; its six words are {words}")
    link = L.invite(nas, "--uses", "2")
    say("nas      made one link that is good for two machines")
    for m in (laptop, phone):
        L.join(m, link, words)
        L.rename(nas, m)
        say(f"{m.name:8} joined by the link")
    nas.clan("enable", "files", "--on", "nas", "--yes")
    L.wait_for(
        lambda: all(m.curl("http://files.home.clan/", check=False).returncode == 0 for m in (laptop, phone)),
        what="shared files on every machine",
    )
    say("nas      shares files with the clan: http://files.home.clan/")
    laptop.sh("echo 'hello from the laptop' | curl -gsS --fail -T - http://files.home.clan/hello.txt")
    say("laptop   wrote hello.txt there, through the encrypted network")
    say("phone    reads it: " + phone.curl("http://files.home.clan/hello.txt").stdout.strip())
    say()
    say(phone.clan("status").stdout.rstrip())
    return nas, laptop, phone


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if os.geteuid() != 0:
        sys.exit("the machines of the demonstration are namespaces, and making them needs root: scripts/run --demo")
    try:
        with L.Lab() as lab:
            nas, laptop, phone = story(lab)
            sudo = "sudo " if os.environ.get("SUDO_USER") else ""
            say("\nTry it, in another terminal:")
            say(f"  {sudo}{shell_of(lab, laptop)}  a shell on the laptop; then:")
            say("      clan status                     clan ping nas")
            say("      curl http://files.home.clan/hello.txt")
            shell = shell_of(lab, nas)
            shell_of(lab, phone)
            say(f"  {sudo}{shell} clan remove phone  the phone is out, at once and for good")
            say("\nCtrl-C ends all three machines and leaves nothing behind.")
            signal.pause()
    except KeyboardInterrupt:
        say("\nended")


main()
