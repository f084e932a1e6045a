"""A host in Python, with no C code: it drives libtidewire through ctypes.

python_host.py LIBTIDEWIRE: a test of it; four threads emit 10,000 events while the script is
reloaded, into a backend that is a Python function and one that the script chooses.
"""
import ctypes
import json
import os
import shutil
import sys
import tempfile
import threading
import unittest
from ctypes import (CFUNCTYPE, POINTER, Structure, byref, c_char, c_char_p, c_int, c_size_t,
                    c_uint, c_uint64, c_void_p)

LIBRARY = sys.argv.pop()

# ------------------------------------------------------------- what tidewire.h declares

TW_OK, TW_EINVAL, TW_EJSON, TW_ELIMIT, TW_ENOMEM, TW_ENOENT = range(6)
TW_EIO, TW_ESCRIPT, TW_ECLOSED = 8, 9, 10


class Error(Structure):
    _fields_ = [("code", c_int), ("position", c_size_t), ("message", c_char * 496)]


class Failure(Structure):
    _fields_ = [("where", c_char_p), ("path", c_char_p), ("name", c_char_p), ("event", c_void_p),
                ("events", c_uint64), ("error", POINTER(Error)), ("origin", c_void_p)]


OPEN = CFUNCTYPE(c_int, c_void_p, POINTER(Error))
SEND = CFUNCTYPE(c_int, c_void_p, c_void_p, c_uint, POINTER(Error))
FLUSH = CFUNCTYPE(c_int, c_void_p, POINTER(c_uint64), POINTER(Error))
END = CFUNCTYPE(None, c_void_p)
TOLD = CFUNCTYPE(None, c_void_p, POINTER(Failure))
DROPPED = CFUNCTYPE(None, c_void_p, c_char_p, c_void_p)
ACCEPT = CFUNCTYPE(c_int, c_void_p, c_void_p, POINTER(Error))
RELOADED = CFUNCTYPE(None, c_void_p, c_uint64, POINTER(Error))


class BackendOps(Structure):
    _fields_ = [("open", OPEN), ("send", SEND), ("flush", FLUSH), ("close", END), ("free", END),
                ("flush_within", c_void_p)]


class Offer(Structure):
    _fields_ = [("name", c_char_p), ("backend", c_void_p), ("processor", c_void_p)]


class EngineOps(Structure):
    _fields_ = [("failed", TOLD), ("dead", TOLD), ("dropped", DROPPED), ("reloaded", RELOADED),
                ("free", END), ("offers", POINTER(Offer)), ("accept", ACCEPT)]


class EngineStats(Structure):
    _fields_ = [(name, c_uint64) for name in
                ("generation", "reloads", "refused", "received", "processed", "waiting",
                 "dropped", "dropped_newest", "dropped_oldest", "dropped_timeout",
                 "dropped_closed", "dropped_memory")] + [("workers", c_uint)]


def load(path):
    library = ctypes.CDLL(path)
    out = POINTER(c_void_p)
    signatures = {  # name: what it takes; all but those that give nothing return a tw_status
        "tw_backend_new": [POINTER(BackendOps), c_void_p, c_uint, out, POINTER(Error)],
        "tw_backend_unref": [c_void_p],
        "tw_engine_new": [c_char_p, c_char_p, c_size_t, POINTER(EngineOps), c_void_p, out,
                          POINTER(Error)],
        "tw_engine_backend": [c_void_p, out, POINTER(Error)],
        "tw_engine_reload": [c_void_p, POINTER(Error)],
        "tw_engine_flush": [c_void_p, c_int, POINTER(c_uint64), POINTER(Error)],
        "tw_engine_close": [c_void_p, c_int, POINTER(c_uint64), POINTER(Error)],
        "tw_engine_get_stats": [c_void_p, POINTER(EngineStats)],
        "tw_engine_unref": [c_void_p],
        "tw_tracker_new": [c_void_p, out, POINTER(Error)],
        "tw_tracker_router": [c_void_p],
        "tw_tracker_unref": [c_void_p],
        "tw_router_add_backend": [c_void_p, c_char_p, c_void_p, POINTER(Error)],
        "tw_emit": [c_void_p, c_char_p, c_char_p, c_size_t, POINTER(Error)],
        "tw_enter_context": [c_void_p, c_char_p, c_char_p, c_size_t, POINTER(Error)],
        "tw_flush": [c_void_p, c_int, POINTER(c_uint64), POINTER(Error)],
        "tw_event_json": [c_void_p, POINTER(c_char_p), POINTER(c_size_t)],
    }
    for name, takes in signatures.items():
        getattr(library, name).argtypes = takes
        if name.endswith(("_unref", "_get_stats")):
            getattr(library, name).restype = None
    library.tw_tracker_router.restype = c_void_p
    library.tw_version.restype = c_char_p
    return library


tw = load(LIBRARY)


class TidewireError(Exception):
    def __init__(self, status, error):
        super().__init__(error.message.decode())
        self.status = status


def call(function, *arguments):
    """Calls a function whose last argument is the error; raises what it fails with."""
    error = Error()
    status = function(*arguments, byref(error))
    if status != TW_OK:
        raise TidewireError(status, error)


def made(function, *arguments):
    """The same for a function that gives an object."""
    object_ = c_void_p()
    call(function, *arguments, byref(object_))
    return object_


# -------------------------------------------------------------------------------- a host


class Host:
    """An engine under a tracker; its script may name the backend "python", which is a list.

    The callbacks are kept as long as the engine: ctypes frees one that nobody holds.
    """

    def __init__(self, script, **options):
        self.lock, self.seen, self.calls, self.told = threading.Lock(), [], [], []
        self.backend_ops = BackendOps(
            open=OPEN(lambda self_, error: self.note("open")), send=SEND(self.send),
            close=END(lambda self_: self.calls.append("close")),
            free=END(lambda self_: self.calls.append("free")))
        python = made(tw.tw_backend_new, byref(self.backend_ops), None, 0)
        self.offers = (Offer * 2)(Offer(b"python", python, None))
        self.ops = EngineOps(
            failed=TOLD(lambda self_, failure: self.told.append(
                failure.contents.error.contents.message.decode())),
            reloaded=RELOADED(self.reloaded), offers=self.offers)
        options = json.dumps(options).encode()
        try:
            self.engine = made(tw.tw_engine_new, script.encode(), options, len(options),
                               byref(self.ops), None)
        finally:
            tw.tw_backend_unref(python)
        self.tracker = made(tw.tw_tracker_new, None)
        into = made(tw.tw_engine_backend, self.engine)
        call(tw.tw_router_add_backend, tw.tw_tracker_router(self.tracker), b"engine", into)

    def note(self, what):
        self.calls.append(what)
        return TW_OK

    def send(self, self_, event, flags, error):
        text, length = c_char_p(), c_size_t()
        tw.tw_event_json(event, byref(text), byref(length))
        got = json.loads(ctypes.string_at(text, length.value))
        if got["data"].get("refuse"):
            error.contents.message = b"Python does not want it"
            return TW_EIO
        with self.lock:
            self.seen.append(got)
        return TW_OK

    def reloaded(self, self_, generation, error):
        self.told.append(error.contents.message.decode() if error else f"generation {generation}")

    def emit(self, name, **data):
        text = json.dumps(data).encode()
        call(tw.tw_emit, self.tracker, name.encode(), text, len(text))

    def enter(self, name, **fields):
        text = json.dumps(fields).encode()
        call(tw.tw_enter_context, self.tracker, name.encode(), text, len(text))

    def reload(self):
        call(tw.tw_engine_reload, self.engine)

    def stats(self):
        stats = EngineStats()
        tw.tw_engine_get_stats(self.engine, byref(stats))
        return stats

    def close(self):
        remaining = c_uint64(99)
        call(tw.tw_engine_close, self.engine, 60000, byref(remaining))
        tw.tw_tracker_unref(self.tracker)
        tw.tw_engine_unref(self.engine)
        return remaining.value


# ------------------------------------------------------------------------------- its test

SCRIPT = """local tw = require "tidewire"
return tw.router {
  processors = { function(event) event.data.rule = %d event.data.by = event.generation end },
  backends = {
    mine = tw.backends.host "python",
    lines = tw.backends.file { path = "%s" },
  },
}
"""


class PythonHost(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tidewire-python-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.script = os.path.join(self.folder, "script.lua")
        self.lines = os.path.join(self.folder, "lines.ndjson")
        self.write(SCRIPT % (1, self.lines))

    def write(self, text):
        with open(self.script, "w") as file:
            file.write(text)

    def emit_many(self, host, thread, count):
        host.enter("thread", thread=thread)
        for number in range(count):
            host.emit("counted", number=number)

    def test_threads_emit_10000_events_while_the_script_is_reloaded(self):
        host = Host(self.script, workers=2, partition_by="context.thread")
        threads = [threading.Thread(target=self.emit_many, args=(host, i, 2500)) for i in range(4)]
        for thread in threads:
            thread.start()
        for rule in range(2, 12):
            self.write(SCRIPT % (rule, self.lines))
            host.reload()
        for thread in threads:
            thread.join()
        call(tw.tw_flush, host.tracker, -1, None)
        self.check_events(host.seen)
        with open(self.lines) as file:
            self.check_events([json.loads(line) for line in file])
        self.assertEqual([f"generation {number}" for number in range(2, 12)], host.told)
        stats = host.stats()
        self.assertEqual((10000, 10000, 0, 0, 11, 10),
                         (stats.received, stats.processed, stats.dropped, stats.waiting,
                          stats.generation, stats.reloads))
        self.assertEqual(0, host.close())
        self.assertEqual(["open", "close", "free"], host.calls)

    def check_events(self, events):
        self.assertEqual(10000, len(events))
        numbers = {}
        for event in events:
            self.assertEqual(event["data"]["rule"], event["data"]["by"])
            numbers.setdefault(event["context"]["thread"], []).append(event["data"]["number"])
        self.assertEqual({thread: list(range(2500)) for thread in range(4)}, numbers)

    def test_a_bad_script_is_told_and_the_old_one_goes_on(self):
        host = Host(self.script)
        self.write("\n\nreturn {")
        with self.assertRaisesRegex(TidewireError, r"script\.lua:3: unexpected symbol") as caught:
            host.reload()
        self.assertEqual(TW_ESCRIPT, caught.exception.status)
        self.assertRegex(host.told.pop(), r"script\.lua:3: unexpected symbol")
        host.emit("still", here=True)
        call(tw.tw_flush, host.tracker, -1, None)
        self.assertEqual([("still", 1)], [(e["name"], e["data"]["by"]) for e in host.seen])
        host.close()

    def test_what_cannot_start_says_why(self):
        self.write("local tw = require 'tidewire'\nlocal x = tw.backends.host 'pyton'")
        with self.assertRaisesRegex(TidewireError, r'script\.lua:2: the host offers no backend '
                                                   r'"pyton"; did you mean "python"\?'):
            Host(self.script)
        with self.assertRaisesRegex(TidewireError, "engine: unknown option") as caught:
            Host(self.script, worker=2)
        self.assertEqual(TW_EINVAL, caught.exception.status)

    def test_what_a_callback_fails_with_is_told_and_counted(self):
        host = Host(self.script)
        host.emit("unwanted", refuse=True)
        host.emit("wanted")
        call(tw.tw_flush, host.tracker, -1, None)
        self.assertEqual(["Python does not want it"], host.told)
        self.assertEqual(["wanted"], [event["name"] for event in host.seen])
        host.close()

    def test_what_is_closed_refuses(self):
        host = Host(self.script)
        call(tw.tw_engine_close, host.engine, -1, None)
        with self.assertRaises(TidewireError) as caught:
            host.reload()
        self.assertEqual(TW_ECLOSED, caught.exception.status)
        host.close()
        self.assertEqual(["open", "close", "free"], host.calls)

    def test_the_library_has_a_version(self):
        self.assertRegex(tw.tw_version().decode(), r"^\d+\.\d+\.\d+$")


if __name__ == "__main__":
    unittest.main(verbosity=2)
