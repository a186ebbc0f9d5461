"""The lab itself: what a run that was killed left behind."""

import os
import subprocess
import tempfile

import lab as L


def test_what_a_killed_run_left_is_taken_down(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    names = {f"clan-lab-{L.PIDS}-{ended.pid}-a": False,  # its creator is dead
             f"clan-lab-{L.PIDS}-{os.getpid()}-a": True,
             f"clan-lab-{L.PIDS + 1}-{ended.pid}-a": True,  # of another PID namespace
             f"clan-lab-{L.PIDS}-{ended.pid}": True,  # not a lab's
             "clan-lab-a": True}
    for name in names:
        os.makedirs(tmp_path / name / "nas" / "state")
    L._stale_dirs()
    assert {name: os.path.exists(tmp_path / name) for name in names} == names
