"""Three machines from one link: the story that everything else stands on."""

import re

import lab as L


def nothing_died(machines):
    """No child ended by itself or by a fault (SIGKILL is how the warden ends what is not needed any more)."""
    for m in machines:
        deaths = [line for line in m.log().splitlines()
                  if re.search(r"killed by signal (?!9 )|ended with status [1-9]|assertion failed", line)]
        assert not deaths, deaths


def test_three_machines_share_files(three, tmp_path):
    nas, laptop, phone = three
    for m in three:
        assert m.standing() == "member"
    nas.clan("enable", "files", "--on", "nas", "--yes")
    url = "http://files.home.clan/"
    L.wait_for(lambda: laptop.curl(url, check=False).returncode == 0, what="files on the laptop")
    laptop.run("bash", "-c", "echo 'from the laptop' > /tmp/clan-lab-note && curl -gsS --fail -T /tmp/clan-lab-note "
               + url + "note.txt; rm -f /tmp/clan-lab-note")
    assert phone.curl(url + "note.txt").stdout == "from the laptop\n"
    copied = phone.sh(
        "d=$(mktemp -d) && rclone --config /dev/null copy :webdav:/ $d --webdav-url " + url
        + " && cat $d/note.txt; rm -r $d").stdout
    assert copied == "from the laptop\n"
    nothing_died(three)


def test_everybody_reaches_everybody(three):
    for a in three:
        for b in three:
            if a is not b:
                a.ping(b.name)
