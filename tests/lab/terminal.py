"""A person at a terminal of a lab machine."""

import os
import pty
import select
import signal
import time

import lab as L


class Terminal:
    """A command of a person at a terminal."""

    def __init__(self, m, *args, env=()):
        self.m, self.shown, self.command = m, "", " ".join(args)
        self.master, slave = pty.openpty()
        self.process = m.popen("env", *env, f"{L.PREFIX}/bin/clan", *args, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)

    def until(self, text, limit=20):
        """Reads up to that text; what came before it."""
        end = time.monotonic() + limit
        while text not in self.shown:
            assert time.monotonic() < end, f"never said {text!r}:\n{self.shown}"
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self.master, 4096).decode(errors="replace")
                except OSError:
                    end = 0
        before, _, self.shown = self.shown.partition(text)
        return before

    def type(self, line):
        os.write(self.master, (line + "\n").encode())

    def end(self):
        """As when its window is closed."""
        if self.master is None:
            return
        for pid in self.m.pids(rf"^{L.PREFIX}/bin/clan {self.command}"):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        os.close(self.master)
        self.master = None
