#!/usr/bin/env python3
"""Finds a span in Phoenix by its `spanseal.event` attribute, as a person who holds an event id would.

Prints the span ids found. Exit 0 found, 1 not found, 2 Phoenix could not be asked.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


def main():
    """Asks until a span is found or the time is over, and returns the exit code."""
    options = parse_options()
    end = time.monotonic() + options.wait
    while True:
        try:
            found = find(options.url, options.project, options.key, options.event)
        except OSError as error:
            print(f"phoenix_find.py: {error}", file=sys.stderr)
            return 2
        if found or time.monotonic() >= end:
            break
        time.sleep(0.5)
    for span_id in found:
        print(span_id)
    return 0 if found else 1


def parse_options():
    """Returns the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="http://HOST:PORT of Phoenix")
    parser.add_argument("--event", required=True, help="the attribute's value")
    parser.add_argument("--key", default="spanseal.event", help="the attribute")
    parser.add_argument("--project", default="default", help="Phoenix's project")
    parser.add_argument("--wait", type=float, default=0, help="seconds to go on asking: it stores in batches")
    return parser.parse_args()


def find(url, project, key, value):
    """Returns the ids of the project's spans whose attribute `key` is the string `value`.

    The value is sent JSON-quoted, as Phoenix would read `12` or `true` as a number or a boolean. A project that does
    not exist yet holds no span.
    """
    query = urllib.parse.urlencode({"attribute": f"{key}:{json.dumps(value)}"})
    try:
        with urllib.request.urlopen(f"{url}/v1/projects/{project}/spans?{query}", timeout=10) as answer:
            spans = json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return []
        raise
    return [span["context"]["span_id"] for span in spans]


if __name__ == "__main__":
    sys.exit(main())
