#!/usr/bin/python3 -B
"""The reckoning of the storm finds what it is there to find."""

import sys
import unittest

from reckoning import at_once, second_tries, swallowed, tries
from rehearsal import Call


def call(start, sim="p0", name="r1", model="alpha", **more):
    values = {"end": start + 1, "streamed": False, "status": 500, "how": "complete", "fault": "500:1%", "reused": False}
    return Call(start=start, id=name, model=model, sim=sim, **{**values, **more})


class Reckoning(unittest.TestCase):
    def test_first_tries_are_free(self):
        calls = [call(0), call(1, "p1"), call(2, "p0", model="beta"), call(3, "p0", "r2")]
        self.assertEqual(second_tries(calls), [])
        by_model, by_provider = tries(calls)
        self.assertEqual(by_model["r1", "alpha"], 2)
        self.assertEqual(set(by_provider.values()), {1})

    def test_the_same_place_again(self):
        again = call(2)
        self.assertEqual(second_tries([again, call(1, "p1"), call(0)]), [again])
        self.assertEqual(tries([again, call(0)])[1]["r1", "alpha", "p0"], 2)

    def test_a_kept_connection_that_ends(self):
        lost = call(0, status=0, how="closed", fault="close-idle:1%", reused=True)
        self.assertTrue(swallowed(lost))
        self.assertFalse(swallowed(lost._replace(reused=False)))
        self.assertFalse(swallowed(lost._replace(how="aborted")))
        self.assertEqual(second_tries([lost, call(1)]), [])
        self.assertEqual(tries([lost, call(1)])[0]["r1", "alpha"], 1)

    def test_replays(self):
        begun = call(0, streamed=True, status=200, fault="cut@3:1%")
        replay = call(1, "p1")
        self.assertEqual(second_tries([begun, replay]), [replay])
        self.assertEqual(second_tries([begun._replace(streamed=False), replay]), [])
        self.assertEqual(second_tries([begun._replace(fault="cut@0:1%"), replay]), [])

    def test_at_once(self):
        self.assertEqual(at_once([call(0), call(0.5), call(1), call(3)]), [(0, 1), (0.5, 2), (1, 2), (3, 1)])
        self.assertEqual(at_once([call(0, how="aborted"), call(0.95)]), [(0, 1), (0.95, 1)])
        self.assertEqual(at_once([call(0), call(0.95)]), [(0, 1), (0.95, 2)])
        self.assertEqual(at_once([call(0, end=0), call(5, how="aborted", end=5.05)]), [(0, 1), (5, 1)])


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=0))
