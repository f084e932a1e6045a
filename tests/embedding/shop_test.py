"""The operator of scripts/shop.lua edits its script while orders are taken."""
import os
import re
import unittest

from host_case import HostCase

SCRIPTS = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../scripts"))
LUA = os.environ.get("LUA", "lua5.4")


class Shop(HostCase):
    def setUp(self):
        super().setUp()
        with open(os.path.join(SCRIPTS, "shop-routing.lua")) as file:
            self.script = file.read()
        self.write_script(self.script)
        self.start(LUA, os.path.join(SCRIPTS, "shop.lua"), "script.lua")
        self.assertEqual("the shop is open", self.line())
        self.taken = 0

    def order(self, count):
        for _ in range(count):
            self.taken += 1
            self.say(f"ann {self.taken}")

    def reload(self, text):
        self.write_script(text)
        self.say("reload")
        return self.line()

    def test_orders_are_routed_anew_while_they_are_taken(self):
        self.order(500)
        second = self.script.replace("out/orders.ndjson", "out/second.ndjson")
        self.assertEqual("the new script runs", self.reload(second))
        self.order(500)
        self.assertRegex(self.reload(second.replace("tw.router {", "tw.router {{")),
                         r"^the old script goes on: script\.lua:\d+: .* expected")
        self.order(500)
        self.assertRegex(self.reload(second.replace('"mask"', '"remove"')),
                         r"^the old script goes on: script\.lua: test 1 'no customer is named': .*"
                         r"data\.customer")
        self.order(500)
        third = second.replace("second", "third")
        self.assertEqual("the new script runs", self.reload(third))
        self.order(500)
        self.say("nonsense")
        self.assertRegex(self.line(), "^an order is a customer")
        rest = self.end()
        total = (self.taken, self.taken * (self.taken + 1) // 2)
        self.assertEqual([total, total], [tuple(map(int, re.findall(r"\d+", line))) for line in rest])
        self.check_files()

    def check_files(self):
        first, second, third = map(self.events, ("orders.ndjson", "second.ndjson", "third.ndjson"))
        self.assertEqual([500, 1500, 500], list(map(len, (first, second, third))))
        every = first + second + third
        self.assertEqual(list(range(1, 2501)), [event["data"]["cents"] for event in every])
        self.assertEqual(list(range(1, 2501)), [event["context"]["number"] for event in every])
        self.assertEqual({"***"}, {event["data"]["customer"] for event in every})


if __name__ == "__main__":
    unittest.main(verbosity=2)
