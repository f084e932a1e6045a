"""The operator of scripts/order-service.c edits its script while orders are taken.

order_service_test.py PROGRAM: the built service.
"""
import os
import re
import signal
import sys
import time
import unittest

from host_case import HostCase

SCRIPT = os.path.join(os.path.dirname(__file__), "../../scripts/order-service.lua")
SERVICE = os.path.abspath(sys.argv.pop())


class OrderService(HostCase):
    def setUp(self):
        super().setUp()
        with open(SCRIPT) as file:
            self.script = file.read()
        self.told = None

    def edit(self, old, new):
        self.assertIn(old, self.script)
        self.script = self.script.replace(old, new)
        self.write_script(self.script)

    def await_rule(self, rule):
        """Until an order of each till went by a rule: the script is in use, and orders go on."""
        deadline = time.monotonic() + 120
        while {order["context"]["till"] for order in self.whole_lines("orders.ndjson")
               if order["data"]["rule"] == rule} != {1, 2, 3, 4}:
            self.assertLess(time.monotonic(), deadline, f"no order by rule {rule}")
            time.sleep(0.05)

    def whole_lines(self, name):
        try:
            return self.events(name)
        except (FileNotFoundError, ValueError):  # not begun, or in the midst of a line
            return []

    def outcome(self):
        """What the service tells of an edit. A script that was refused may be tried again, in
        vain, when its folder changes: that is told a second time."""
        before, self.told = self.told, self.line()
        while self.told == before:
            self.told = self.line()
        return self.told

    def run_and_edit(self):
        self.write_script(self.script)
        self.start(SERVICE, "script.lua")
        self.assertEqual("generation 1 runs", self.outcome())
        self.await_rule(9000)
        self.edit("LARGE = 9000", "LARGE = 5000")
        self.assertEqual("generation 2 runs", self.outcome())
        self.await_rule(5000)
        self.edit("return tw.router {", "return tw.router {{")
        self.assertRegex(self.outcome(), r"^still generation 2: script\.lua:\d+: .* expected")
        self.edit("return tw.router {{", "return tw.router {")
        self.assertEqual("generation 3 runs", self.outcome())
        self.edit("LARGE = 5000", "LARGE = 9500")
        self.assertRegex(self.outcome(), r"^still generation 3: script\.lua: test 1 'an order of 90 is "
                                         r"large': .*data\.large: expected true, got false")
        self.edit('host "ledger"', 'host "leger"')
        self.assertRegex(self.outcome(), r'^still generation 3: script\.lua:\d+: the host offers no '
                                         r'backend "leger"; did you mean "ledger"\?')
        self.edit('host "leger"', 'host "ledger"')
        self.assertRegex(self.outcome(), r"^still generation 3: .*an order of 90 is large")
        self.script = self.script.replace("LARGE = 9500", "LARGE = 2000")
        self.edit("out/review.ndjson", "out/second-review.ndjson")
        self.assertEqual("generation 4 runs", self.outcome())
        self.await_rule(2000)

    def balance(self):
        """What the service printed at its end: (orders, cents) taken and in the ledger."""
        rest = self.end(signal.SIGINT)
        self.assertEqual(2, len(rest), rest)
        numbers = [tuple(map(int, re.findall(r"\d+", line))) for line in rest]
        self.assertEqual(["taken:", "ledger:"], [line.split()[0] for line in rest])
        return numbers

    def test_nothing_is_lost_or_doubled_while_the_script_is_edited(self):
        self.run_and_edit()
        taken, ledger = self.balance()
        self.assertEqual(taken, ledger)
        orders = self.events("orders.ndjson")
        self.assertEqual(taken, (len(orders), sum(order["data"]["cents"] for order in orders)))
        numbers = {}
        for order in orders:
            numbers.setdefault(order["context"]["till"], []).append(order["data"]["order"])
        self.assertEqual({1, 2, 3, 4}, set(numbers))
        for till in numbers.values():  # each till's orders in their order, without a gap
            self.assertEqual(list(range(1, len(till) + 1)), till)

    def test_every_order_goes_by_one_script_whole(self):
        self.run_and_edit()
        self.balance()
        def key(order):
            return order["context"]["till"], order["data"]["order"]
        rules, large = {}, {True: set(), False: set()}
        for order in self.events("orders.ndjson"):
            data = order["data"]
            self.assertEqual(data["cents"] >= data["rule"], data["large"])
            rules.setdefault(order["context"]["till"], []).append(data["rule"])
            if data["large"]:
                large[data["rule"] == 2000].add(key(order))
        for till in rules.values():  # no till goes back to an older script
            self.assertEqual(sorted(till, reverse=True), till)
            self.assertEqual({9000, 5000, 2000}, set(till))
        self.assertEqual(large[False], set(map(key, self.events("review.ndjson"))))
        self.assertEqual(large[True], set(map(key, self.events("second-review.ndjson"))))


if __name__ == "__main__":
    unittest.main(verbosity=2)
