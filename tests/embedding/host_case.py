"""Runs a program that reads a script, and edits the script while it runs.

What the tests of the example hosts share. Only the standard library is used.
"""
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

PATIENCE = 120  # seconds for one answer, on a machine that does much else


class HostCase(unittest.TestCase):
    """A folder of its own, and in it a program and its script."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tidewire-host-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.mkdir(self.path("out"))
        self.process = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_script(self, text):
        """Replaces the script as editors do: a new file is renamed over it."""
        with open(self.path("script.lua.new"), "w") as file:
            file.write(text)
        os.rename(self.path("script.lua.new"), self.path("script.lua"))

    def start(self, *command):
        self.process = subprocess.Popen(
            list(command), cwd=self.folder, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.stdin.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.lines = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line(self):
        """The next line that the program prints; None at its end."""
        return self.lines.get(timeout=PATIENCE)

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self, sig=None):
        """Ends the program, which must succeed; gives what it still printed."""
        if sig:
            self.process.send_signal(sig)
        else:
            self.process.stdin.close()
        rest = list(iter(self.line, None))
        self.assertEqual(0, self.process.wait(PATIENCE), rest)
        return rest

    def events(self, name):
        """The events of a file in out/."""
        with open(self.path("out/" + name)) as file:
            return [json.loads(line) for line in file]
