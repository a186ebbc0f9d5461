"""Who is in, when the machines that decide are off, wrong, removed or asleep."""

import shutil

import lab as L
import links


def copy_admin_key(a, b):
    shutil.copytree(f"{a.dir}/home/.config", f"{b.dir}/home/.config", dirs_exist_ok=True)


def member_on(observer, name):
    rows = [m for o in observer.json("machines") for m in o["machines"]]
    return next((m["standing"] for m in rows if m["name"] == name), None)


def enable(m, plugin, name, on, allow):
    m.clan("enable", plugin, "--as", name, "--on", on, "--allow", allow, "--yes")


def test_joining_while_admin_and_keeper_are_off(lab):
    nas, laptop, phone = lab.machine("nas"), lab.machine("laptop"), lab.machine("phone")
    L.up(nas)
    words = L.words(nas)
    L.admit(nas, laptop)
    enable(nas, "files", "open", "laptop", "all,provisional")
    enable(nas, "files", "closed", "laptop", "all")
    copy_admin_key(nas, laptop)
    nas.off()
    link = L.invite(laptop, "--for", "phone")
    L.join(phone, link, words, "--wait", "1s")
    assert phone.standing().startswith("provisional")
    L.wait_for(lambda: phone.curl("http://open.home.clan/", check=False).returncode == 0, what="the open service")
    closed = [s for o in laptop.json("services") for s in o["services"] if s["name"] == "closed"][0]
    assert phone.curl(f"http://[{closed['address']}]/", check=False, timeout=3).returncode != 0
    result = phone.ping("laptop", check=False)
    assert result.returncode == 5 and "provisional" in result.stdout + result.stderr
    nas.start(apply=False)
    L.wait_for(lambda: phone.standing() == "member", limit=60, what="the receipt")
    L.wait_for(lambda: phone.ping("laptop", check=False).returncode == 0, what="ping")
    L.wait_for(lambda: phone.curl("http://closed.home.clan/", check=False).returncode == 0, what="the closed service")


def test_two_doors_two_machines_one_use(lab):
    nas, left, right = lab.machine("nas"), lab.machine("left"), lab.machine("right")
    L.up(nas)
    words = L.words(nas)
    several = L.invite(nas, "--uses", "2")
    for m in (left, right):
        L.join(m, several, words)
    link = L.invite(nas)
    for m in (left, right):
        L.wait_for(lambda m=m: any(i["state"] == "open" for o in m.json("invite", "list") for i in o["invitations"]
                                   if i["uses"] == 1), what="the invitation at both doors")
    nas.off()
    one, two = lab.machine("one"), lab.machine("two")
    right.unplug()
    L.join(one, links.with_endpoint(link, left.address), words, "--wait", "1s")
    right.plug()
    left.unplug()
    one.unplug()
    L.join(two, links.with_endpoint(link, right.address), words, "--wait", "1s")
    left.plug()
    one.plug()
    nas.start(apply=False)

    def both_fell_back():
        return all("provisional" in (member_on(nas, n) or "") for n in guests) and any(
            "shared" in h["code"] for h in nas.health())

    guests = [one.json("status")[-1]["machine"], two.json("status")[-1]["machine"]]
    L.wait_for(both_fell_back, limit=90, what="both provisional, with an alarm")


def test_removed_is_out_and_stays_out(three):
    nas, laptop, phone = three
    nas.ping("phone")
    nas.clan("remove", "phone", "--yes")
    L.wait_for(lambda: phone.ping("laptop", check=False).returncode != 0, limit=5, what="phone is out")
    assert member_on(laptop, "phone") in (None, "removed")
    phone.stop()
    phone.start(apply=False)
    for m in (nas, laptop):
        assert phone.ping(m.name, check=False).returncode != 0
    for m in (nas, laptop):
        assert member_on(m, "phone") in (None, "removed")


def test_removed_machine_as_a_door(lab):
    nas, laptop, guest = lab.machine("nas"), lab.machine("laptop"), lab.machine("guest")
    L.up(nas)
    words = L.words(nas)
    L.admit(nas, laptop)
    old = L.invite(nas)
    L.wait_for(lambda: len(laptop.json("invite", "list")[-1]["invitations"]) == 2, what="the invitation")
    laptop.unplug()
    nas.clan("remove", "laptop", "--yes")
    fresh = L.invite(nas)
    laptop.plug()
    nas.unplug()
    # it never heard of the fresh one
    result = L.join(guest, links.with_endpoint(fresh, laptop.address), words, check=False)
    assert result.returncode != 0
    # and who is admitted by it with the old one is nothing to anybody else
    L.join(guest, links.with_endpoint(old, laptop.address), words, "--wait", "1s", check=False)
    nas.plug()
    name = guest.clan("--json", "status", check=False)
    assert name.returncode != 0 or guest.standing() != "member"
    assert all(m["standing"] != "member" for o in nas.json("machines") for m in o["machines"] if m["name"] != "nas")


def test_admitted_while_another_slept(lab):
    nas, laptop, desk, sleeper = (lab.machine(n) for n in ("nas", "laptop", "desk", "sleeper"))
    L.up(nas)
    words = L.words(nas)
    link = L.invite(nas, "--uses", "3")
    for m in (laptop, desk, sleeper):
        L.join(m, link, words)
    sleeper.off()
    late = lab.machine("late")
    L.admit(nas, late)
    for m in (laptop, desk):
        L.wait_for(lambda m=m: any(x["standing"] == "member" and not x["self"] and x["id"] == late.json("status")[-1]["machine_id"]
                                   for o in m.json("machines") for x in o["machines"]), what="late at the others")
    nas.off()
    sleeper.start(apply=False)
    name = late.json("status")[-1]["machine"]
    L.wait_for(lambda: sleeper.ping(name, check=False).returncode == 0, limit=60, what="the sleeper reaches the late one")


def test_leave(three):
    nas, laptop, phone = three
    phone.clan("leave", "--yes")
    assert phone.clan("status", check=False).returncode != 0
    L.wait_for(lambda: member_on(nas, "phone") in (None, "removed"), limit=10, what="the others know")
    assert "clan0" not in phone.sh("ip link").stdout
