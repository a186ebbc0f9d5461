"""A machine that was away (SECURITY C5): one member alone does not move its configuration, a keeper does."""

import os

import lab as L


def version(m):
    return m.json("status")[-1]["config_version"]


def forget_awake(m):
    """As after a reboot: the note by which core knows that it was only restarted is gone."""
    notes = [os.path.join(d, "awake") for d, _, files in os.walk(f"{m.dir}/state") if "awake" in files]
    assert len(notes) == 1, notes
    os.unlink(notes[0])


def three(lab):
    """nas is the keeper; the version that the laptop has and bob has not: its number."""
    nas = L.up(lab.machine("nas"))
    bob = L.admit(nas, lab.machine("bob"))
    laptop = L.admit(nas, lab.machine("laptop"))
    L.wait_for(lambda: bob.standing() == laptop.standing() == "member", what="both are members")
    L.wait_for(lambda: bob.ping("laptop", check=False).returncode == 0, what="bob and the laptop know each other")
    before = version(nas)
    L.wait_for(lambda: version(bob) == before, what="bob has what there is")
    bob.off()
    nas.clan("machines", "rename", "laptop", "notebook", "--yes")
    L.wait_for(lambda: version(laptop) == before + 1, what="the laptop has the new version")
    nas.off()
    return nas, bob, laptop, before + 1


def test_what_one_member_brings_waits_for_a_keeper(lab):
    nas, bob, laptop, newer = three(lab)
    forget_awake(bob)
    bob.start(apply=False)
    L.wait_for(lambda: bob.json("status")[-1]["catching_up"], what="bob catches up")
    L.wait_for(
        lambda: any(m["name"] == "laptop" and m["connected"] for o in bob.json("machines") for m in o["machines"]),
        what="bob is connected with the laptop",
    )
    laptop.clan("ping", "-c", "3", "bob", "--control")  # its head and the envelope came before
    # the version verifies by all that bob knows: it is heard, and waits
    assert version(bob) == newer - 1
    assert any(h["code"] == "catching-up" for h in bob.health())
    nas.start(apply=False)
    L.wait_for(lambda: version(bob) == newer, limit=30, what="the keeper's word moves bob")
    L.wait_for(lambda: not bob.json("status")[-1]["catching_up"], what="bob has caught up")


def test_a_restart_is_no_absence(lab):
    """The control of the one above: the laptop does bring the version, and nothing else holds it."""
    _, bob, _, newer = three(lab)
    bob.start(apply=False)
    L.wait_for(lambda: version(bob) == newer, what="the laptop's word moves bob")
