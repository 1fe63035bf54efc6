# SPDX-License-Identifier: EUPL-1.2
"""as4 (Python) as the other side of an interoperability test, under the Peppol profile.

It receives on a free loopback port, and sends one message per JSON line on standard input. Results are JSON lines on
standard output. It ends with standard input.
"""

import argparse
import json
import sys

import receive
from parties import say
from send import Sender


def options():
    parser = argparse.ArgumentParser()
    for name in ["keystore", "other-keystore", "password", "tls-certificate", "tls-key", "tls-trust", "inbox"]:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--trust", action="append", required=True, help="an anchor of access points, PEM; repeatable")
    parser.add_argument("--serves", action="append", default=[], help="a participant that it takes messages for; repeatable")
    return parser.parse_args()


def main():
    chosen = options()
    say({"event": "ready", "port": receive.start(chosen)})
    sender = Sender(chosen)
    for line in sys.stdin:
        say(sender.run(json.loads(line)))


main()
