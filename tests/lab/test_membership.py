"""Who is in, when the machines that decide are off, wrong, removed or asleep."""

import re
import shutil

import lab as L
import links


def copy_admin_key(a, b):
    shutil.copytree(f"{a.dir}/home/.config", f"{b.dir}/home/.config", dirs_exist_ok=True)


def machines(observer):
    return [m for o in observer.json("machines") for m in o["machines"]]


def identity(m):
    return m.json("status")[-1]["machine_id"]


def standing_of(observer, machine_id):
    """By the ID: the name of a machine may change when its standing does."""
    return next((m["standing"] for m in machines(observer) if m["id"] == machine_id), None)


def connected(observer, machine_id):
    return any(m["connected"] for m in machines(observer) if m["id"] == machine_id)


def codes(m):
    return [h["code"] for h in m.health()]


def invitation_state(observer, invitation):
    rows = observer.json("invite", "list")[-1]["invitations"]
    return next((i["state"] for i in rows if i["id"] == invitation["id"]), None)


def enable(m, plugin, name, on, allow):
    m.clan("enable", plugin, "--as", name, "--on", on, "--allow", allow, "--yes")


def test_joining_while_admin_and_keeper_are_off(lab):
    nas, laptop, phone = lab.machine("nas"), lab.machine("laptop"), lab.machine("phone")
    L.up(nas)
    words = L.words(nas)
    L.admit(nas, laptop)
    assert laptop.standing() == "member"  # its door is the only keeper: the receipt says it all
    enable(nas, "files", "open", "laptop", "all,provisional")
    enable(nas, "files", "closed", "laptop", "all")
    copy_admin_key(nas, laptop)
    nas.off()
    link = L.invite(laptop, "--for", "phone")
    L.join(phone, link, words, "--wait", "1s")
    assert phone.standing() == "provisional, known to one door only"
    assert {"provisional", "one-door"} <= set(codes(phone))
    L.wait_for(lambda: phone.curl("http://open.home.clan/", check=False).returncode == 0, what="the open service")
    closed = [s for o in laptop.json("services") for s in o["services"] if s["name"] == "closed"][0]
    L.wait_for(lambda: laptop.curl(f"http://[{closed['address']}]/", check=False).returncode == 0, what="the closed service")
    assert phone.curl(f"http://[{closed['address']}]/", check=False, timeout=2).returncode != 0
    result = phone.ping("laptop", check=False)
    assert result.returncode == 5 and "provisional" in result.stdout + result.stderr
    phone.stop()  # a restart makes the one door's word no more than that
    phone.start(apply=False)
    L.wait_for(lambda: phone.standing() == "provisional, known to one door only", what="the same standing")
    nas.start(apply=False)
    L.wait_for(lambda: phone.standing() == "member", limit=60, what="the receipt, and a second machine's word")
    assert not {"provisional", "one-door"} & set(codes(phone))
    L.wait_for(lambda: phone.ping("laptop", check=False).returncode == 0, what="ping")
    L.wait_for(lambda: phone.curl("http://closed.home.clan/", check=False).returncode == 0, what="the closed service")


def test_two_doors_two_machines_one_use(lab):
    nas, left, right = lab.machine("nas"), lab.machine("left"), lab.machine("right")
    L.up(nas)
    words = L.words(nas)
    several = L.invite(nas, "--uses", "2")
    for m in (left, right):
        L.join(m, several, words)
    invitation = nas.json("invite")[-1]
    for m in (left, right):
        L.wait_for(lambda m=m: invitation_state(m, invitation) == "open", what="the invitation at both doors")
    nas.off()
    one, two = lab.machine("one"), lab.machine("two")
    right.unplug()
    L.join(one, links.with_endpoint(invitation["link"], left.address), words, "--wait", "1s")
    right.plug()
    left.unplug()
    one.unplug()
    L.join(two, links.with_endpoint(invitation["link"], right.address), words, "--wait", "1s")
    left.plug()
    one.plug()
    nas.start(apply=False)
    guests = [identity(one), identity(two)]

    def both_fell_back():
        return all((standing_of(nas, g) or "").startswith("provisional") for g in guests) and "shared-link" in codes(nas)

    L.wait_for(both_fell_back, limit=90, what="both provisional, with an alarm")
    assert invitation_state(nas, invitation) == "shared"
    for m in (one, two):  # themselves too: each is told of the other
        L.wait_for(lambda m=m: m.standing().startswith("provisional") and "shared-link" in codes(m), what="the alarm at both")


def test_removed_is_out_and_stays_out(three):
    nas, laptop, phone = three
    for m in (nas, laptop):
        L.wait_for(lambda m=m: phone.ping(m.name, check=False).returncode == 0, what="ping before")
    gone = identity(phone)
    told = nas.json("remove", "phone", "--yes")[-1]
    # both that stay have signed for it, in the five seconds that the command waits
    assert (told["acknowledged"], told["machines"], told["missing"]) == (2, 2, [])
    for m in (nas, laptop):
        assert standing_of(m, gone) == "removed"
        assert not connected(m, gone)
    L.wait_for(lambda: phone.standing() == "removed", limit=5, what="phone knows")
    assert "removed" in codes(phone)
    for m in (nas, laptop):
        assert phone.ping(m.name, check=False).returncode != 0
        assert phone.sh(f"ping -6 -c 1 -W 1 {m.json('status')[-1]['address']}", check=False).returncode != 0
    phone.stop()
    phone.start(apply=False)
    L.wait_for(lambda: phone.clan("status", check=False).returncode == 0, what="its own status")
    assert phone.standing() == "removed"
    for m in (nas, laptop):
        assert phone.ping(m.name, check=False).returncode != 0
        assert standing_of(m, gone) == "removed"


def test_removed_while_off_is_told_by_whom_it_meets(lab):
    nas, laptop, phone = lab.machine("nas"), lab.machine("laptop"), lab.machine("phone")
    L.up(nas)
    L.admit(nas, laptop)
    L.admit(nas, phone)
    gone = identity(phone)
    L.wait_for(lambda: standing_of(laptop, gone) == "member", what="phone at the laptop")
    L.wait_for(lambda: phone.ping("laptop", check=False).returncode == 0, what="ping before")
    phone.off()
    assert nas.json("remove", "phone", "--yes")[-1]["missing"] == []
    nas.off()
    phone.start(apply=False)  # only a plain member is there, to whom its key is a removed one's
    L.wait_for(lambda: phone.standing() == "removed", limit=15, what="phone knows")
    assert "removed" in codes(phone)
    assert standing_of(laptop, gone) == "removed" and not connected(laptop, gone)
    assert phone.ping("laptop", check=False).returncode != 0


def test_removal_closes_what_is_open(lab):
    nas, laptop, desk, late = (lab.machine(n) for n in ("nas", "laptop", "desk", "late"))
    L.up(nas)
    words = L.words(nas)
    L.admit(nas, laptop)
    old = nas.json("invite", "--for", "desk")[-1]
    nas.clan("invite", "withdraw", nas.json("invite")[-1]["id"])
    told = nas.json("remove", "laptop", "--yes")[-1]
    assert [(i["id"], i["for"]) for i in told["closed_invitations"]] == [(old["id"], "desk")]
    result = L.join(desk, old["link"], words, check=False)
    assert result.returncode == 5 and "withdrawn" in result.stderr
    # what is made afterwards is open: the removal is over
    L.admit(nas, desk)
    L.join(late, L.invite(nas, "--uses", "2"), words)
    assert (desk.standing(), late.standing()) == ("member", "member")


def test_removed_machine_as_a_door(lab):
    nas, laptop, guest = lab.machine("nas"), lab.machine("laptop"), lab.machine("guest")
    L.up(nas)
    words = L.words(nas)
    L.admit(nas, laptop)
    old = nas.json("invite")[-1]
    L.wait_for(lambda: invitation_state(laptop, old) == "open", what="the invitation")
    laptop.unplug()
    gone = identity(laptop)
    nas.clan("remove", "laptop", "--yes")
    fresh = L.invite(nas)
    nas.unplug()
    laptop.plug()
    # it never heard of the fresh one
    result = L.join(guest, links.with_endpoint(fresh, laptop.address), words, check=False)
    assert result.returncode == 5 and "silent" in result.stderr, result.stderr
    # with the old one it admits, and the guest knows that it has nobody else's word
    L.join(guest, links.with_endpoint(old["link"], laptop.address), words, "--wait", "1s")
    assert guest.standing() == "provisional, known to one door only"
    assert laptop.standing() == "member"
    nas.plug()
    # who was admitted by it is nothing to anybody else, and both are told
    L.wait_for(lambda: "door-removed" in codes(guest), limit=60, what="the guest knows")
    L.wait_for(lambda: laptop.standing() == "removed", limit=60, what="the laptop knows")
    assert guest.standing() == "unknown"
    assert guest.ping("nas", check=False).returncode != 0
    assert {m["id"]: m["standing"] for m in machines(nas)} == {identity(nas): "member", gone: "removed"}


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
        L.wait_for(lambda m=m: standing_of(m, identity(late)) == "member", what="late at the others")
    nas.off()
    sleeper.start(apply=False)
    name = late.json("status")[-1]["machine"]
    L.wait_for(lambda: sleeper.ping(name, check=False).returncode == 0, limit=60, what="the sleeper reaches the late one")
    assert late.ping(sleeper.json("status")[-1]["machine"], check=False).returncode == 0


def test_leave(three):
    nas, laptop, phone = three
    gone = identity(phone)
    assert "clan0" in phone.sh("ip link").stdout
    phone.clan("leave", "--yes")
    assert phone.clan("status", check=False).returncode != 0
    for m in (nas, laptop):
        L.wait_for(lambda m=m: standing_of(m, gone) == "removed", limit=10, what="the others know")
    assert "clan0" not in phone.sh("ip link").stdout


def second_admin(admin, m, name):
    """A key made on m, listed as an admin of the clan; returns its file."""
    L.up(m, name=name)
    m.clan("leave", "--yes")
    path = f"{m.dir}/home/.config/clan/{name}-admin.key"
    public = next(line.split()[1] for line in open(path) if line.startswith("public "))
    text = admin.clan("config", "show").stdout
    text = re.sub(r"threshold: \d+", "threshold: 2", text)
    edited = re.sub(r"(keys: *\{)", rf"\1{name}: {public}, ", text)
    if edited == text:
        edited = re.sub(r"(  keys:\n)( +)", rf"\1\g<2>{name}: {public}\n\2", text)
    new = f"{admin.dir}/home/clan.yaml"
    with open(new, "w") as f:
        f.write(edited)
    admin.clan("config", "apply", new, "--yes")
    return path


def test_another_admin_withdraws_on_another_machine(lab):
    nas, laptop, guest = lab.machine("nas"), lab.machine("laptop"), lab.machine("guest")
    L.up(nas)
    words, invitation = L.words(nas), nas.json("invite", "--uses", "2")[-1]
    key = second_admin(nas, laptop, "bob")
    L.admit(nas, laptop)
    L.wait_for(lambda: invitation_state(laptop, invitation) == "open", what="the invitation on the laptop")
    assert laptop.clan("invite", "withdraw", invitation["id"][:8], check=False).returncode == 3  # no key of its own
    laptop.clan("invite", "withdraw", invitation["id"][:8], "--key", key)
    L.wait_for(lambda: invitation_state(nas, invitation) == "withdrawn", what="the withdrawal at the door")
    result = L.join(guest, invitation["link"], words, check=False)
    assert result.returncode == 5 and "withdrawn" in " ".join(result.stderr.split()), result.stderr
