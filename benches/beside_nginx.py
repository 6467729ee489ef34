"""Tables of a run of benches/beside-nginx: WORK ROUNDS COMMIT. Medians over the rounds."""

import json
import re
import statistics
import sys
from pathlib import Path

work, rounds, commit = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
PERCENTILES = ["p50_us", "p90_us", "p99_us", "p999_us"]


def load(name):
    return json.loads((work / name).read_text())


def series(text, name):
    """{labels: value} of one OpenMetrics name."""
    found = re.findall(rf"^{name}(?:{{(.*?)}})? (\S+)$", text, re.M)
    return {labels: float(value) for labels, value in found}


def grown(name):
    before, after = (series((work / f"metrics.{at}").read_text(), name) for at in ("before", "after"))
    return {labels: value - before.get(labels, 0) for labels, value in after.items()}


def quantile(step, share):
    """Upper bound of the bucket that holds the quantile."""
    buckets = []
    for labels, count in grown("outbid_line_items_bucket").items():
        if f'step="{step}"' in labels:
            bound = re.search(r'le="(.*?)"', labels).group(1)
            buckets.append((float(bound.replace("+Inf", "inf")), count))
    buckets.sort()
    total = buckets[-1][1]
    return next(bound for bound, count in buckets if count >= share * total)


def main():
    one = load("ours.25.1")
    ours, nginx = load("ours.sat")["saturation"], load("nginx.sat")["saturation"]
    machine = one["machine"]
    print(f"Commit {commit}; {machine['processor']}, kernel {machine['kernel']}; generator on core 1, server on core 0; {rounds} rounds of"
          f" {one['settings']['duration_s']:.0f} s, medians. Traffic: {one['settings']['traffic']}.\n")
    total = {name: grown(f"outbid_{name}_total")[""] for name in
             ["requests", "requests_answered", "profile_lookups", "profile_hits"]}
    print("| bid rate | profile hits of all requests | matched p50, p90 | scored p50, p90 |\n|---|---|---|---|")
    sizes = [f"≤ {quantile(step, 0.5):.0f}, ≤ {quantile(step, 0.9):.0f}" for step in ("matched", "scored")]
    print(f"| {total['requests_answered'] / total['requests']:.1%} | {total['profile_hits'] / total['requests']:.1%} |"
          f" {sizes[0]} | {sizes[1]} |\n")
    reasons = {re.search('"(.*)"', k).group(1): v for k, v in grown("outbid_no_bids_by_reason_total").items() if v}
    fell = {re.search('"(.*)"', k).group(1): v for k, v in grown("outbid_fell_out_total").items() if v}
    for title, counts in [("Requests without a bid", reasons), ("Line items that fell out", fell)]:
        listed = sorted(counts.items(), key=lambda item: -item[1])
        print(f"{title}: " + (", ".join(f"{name} {count:.0f}" for name, count in listed) or "none") + ".\n")
    seconds = grown("outbid_stage_seconds_sum")
    counts = grown("outbid_stage_seconds_count")
    quoted = re.compile('"(.*)"')
    means = [f"{quoted.search(k).group(1)} {v / counts[k] * 1e6:.1f}" for k, v in seconds.items() if counts[k]]
    print("Mean time per stage, µs: " + ", ".join(means) + ".\n")
    print(f"Saturation: outbid {ours:.0f}/s, nginx {nginx:.0f}/s: {ours / nginx:.1%} of nginx's.\n")
    print("| rate | | p50 | p90 | p99 | p99.9 | over 10 ms | errors |\n|---|---|---|---|---|---|---|---|")
    for share in (25, 50, 75):
        medians = {}
        for server in ("outbid", "nginx"):
            runs = [load(f"{'ours' if server == 'outbid' else server}.{share}.{n}") for n in range(1, rounds + 1)]
            medians[server] = [statistics.median(run["latency_corrected"][p] for run in runs) for p in PERCENTILES]
            over = sum(run["counts"]["over_10ms"] for run in runs) / sum(run["counts"]["answered"] for run in runs)
            errors = sum(v for run in runs for k, v in run["counts"].items() if k.startswith("errors_"))
            cells = " | ".join(f"{value / 1000:.3f} ms" for value in medians[server])
            print(f"| {runs[0]['settings']['rate']:.0f}/s | {server} | {cells} | {over:.3%} | {errors} |")
        ratios = " | ".join(f"× {a / b:.1f}" for a, b in zip(medians["outbid"], medians["nginx"]))
        print(f"| | ratio | {ratios} | | |")


main()
