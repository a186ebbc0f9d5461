"""Rows of measurements, as a table or as JSON lines; medians and 99th percentiles of what was really measured."""

import argparse
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))


def percentile(values, share):
    ordered = sorted(values)
    if not ordered:
        return None
    at = (len(ordered) - 1) * share
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


class Report:
    def __init__(self, bench):
        parser = argparse.ArgumentParser()
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--quick", action="store_true", help="fewer rounds: a check that it works, not a figure")
        parser.add_argument("--only", help="one part of the bench")
        self.args = parser.parse_args()
        self.bench, self.rows, self.bad = bench, [], []

    def add(self, metric, unit, values, peer="clan", ratio=None, must=None, least=None, least_ratio=None,
            worst=None, p99=None):
        """must: the most that the median may be, p99: that 99 of 100 may be, worst: that any may be, least: the least of the median; a quick run
        is not judged by them."""
        if not values or not all(v is not None for v in values):
            self.bad.append(f"{metric} of {peer} was not measured")
            return
        if max(values) <= 0:
            self.bad.append(f"{metric} of {peer} is 0")
        row = {
            "bench": self.bench, "metric": metric, "unit": unit,
            "p50": round(percentile(values, 0.5), 4), "p99": round(percentile(values, 0.99), 4),
            "n": len(values), "peer": peer, "ratio": None if ratio is None else round(ratio, 3),
        }
        if must is not None:
            row["must"] = must
            if row["p50"] > must and not self.args.quick:
                self.bad.append(f"{metric} of {peer} is {row['p50']} {unit} and must be at most {must}")
        if p99 is not None:
            row["must_p99"] = p99
            if row["p99"] > p99 and not self.args.quick:
                self.bad.append(f"{metric} of {peer} is {row['p99']} {unit} at p99 and must be at most {p99}")
        if worst is not None:
            row["worst"] = worst
            if max(values) > worst and not self.args.quick:
                self.bad.append(f"{metric} of {peer} is {max(values):.0f} {unit} once and must never be above {worst}")
        for key, value, limit in (("least", row["p50"], least), ("least_ratio", row["ratio"] or 0, least_ratio)):
            if limit is not None:
                row[key] = limit
                if value < limit and not self.args.quick:
                    self.bad.append(f"{metric} of {peer}: {value} is below {limit} ({key})")
        self.rows.append(row)
        if self.args.json:
            print(json.dumps(row), flush=True)
        else:
            print(f"{metric:<28} {peer:<14} p50 {row['p50']:>10} p99 {row['p99']:>10} {unit:<8} n {row['n']:<5}"
                  + (f" ratio {row['ratio']}" if ratio is not None else "") + (f" must {must}" if must is not None else "")
                  + "".join(f" {k} {row[k]}" for k in ("least", "least_ratio") if k in row), flush=True)

    def note(self, text):
        print(text, file=sys.stderr, flush=True)

    def end(self):
        for line in self.bad:
            self.note("FAILED: " + line)
        sys.exit(1 if self.bad else 0)
