"""Trains the click and conversion model on rows that `outbid model rows` wrote, and writes a registry folder.

    train.py --rows FILE --schema FILE --output DIR [--seed 1] [--epochs 8] [--smoke]

Rows are split by time: the first 80 % to learn, the next 10 % to stop early and to calibrate, the last 10 % are held
out and only reported. Invariant: the same rows, seed and library versions give the same files.
"""

import os

# One thread: the order of float sums, and so the model, does not depend on the machine's cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import card
import export
import metrics
import rows as rows_file
from network import Adam, Network, log_loss, sigmoid

BATCH = 2048
RATE = 5e-3
# Per step and unit of rate: an embedding that no row asks for is close to zero when training ends.
DECAY = 0.5
PATIENCE = 2
# The verdict: what a model must show on held-out rows.
CALIBRATION_MIN, CALIBRATION_MAX = 0.9, 1.1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", required=True)
    parser.add_argument("--schema", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--smoke", action="store_true", help="few rows: exit with 1 unless ranking beats the baseline")
    parser.add_argument("--data", default="labelled rows", help="one line for the card: where the rows come from")
    options = parser.parse_args()
    data = rows_file.read(options.rows)
    parts = split(len(data.candidate))
    network = Network(data.features, options.seed)
    fit(network, data, parts, options)
    calibrate(network, data, parts["stop"])
    report = evaluate(network, data, parts, options.seed)
    verdict = judge(report)
    text = lambda worst: card.text(report | {"parity": worst, "verdict": verdict}, data, parts, options)
    gate = {
        "slice": f"the last {len(data.candidate) - parts['held_out'].start} of {len(data.candidate)} rows by time",
        "metrics": {name: value for name, value in report.items() if isinstance(value, float) and np.isfinite(value)},
        "verdict": verdict,
    }
    schema = options.schema.read_text(encoding="utf-8")
    export.write(options.output, network, data, schema, options.seed, text, gate)
    print((options.output / "card.md").read_text(encoding="utf-8"))
    if options.smoke and not report["auc"] > report["auc_baseline"]:
        sys.exit(f"AUC {report['auc']:.4f} is not above the baseline's {report['auc_baseline']:.4f}")


def split(count):
    a, b = count * 8 // 10, count * 9 // 10
    return {"train": slice(0, a), "stop": slice(a, b), "held_out": slice(b, count)}


def fit(network, data, parts, options):
    """Adam on shuffled batches; keeps the parameters of the epoch with the least loss on the `stop` rows."""
    rng = np.random.default_rng(options.seed)
    adam = Adam(network.parameters, RATE, DECAY)
    prior = rate(data.click, data.weight, parts["train"])
    network.parameters["u"][0] = np.log(prior / (1 - prior))
    network.parameters["u"][1] = np.log(0.05 / 0.95)
    best, kept, worse = np.inf, None, 0
    steps = options.epochs * -(-parts["train"].stop // BATCH)
    step = 0
    for epoch in range(options.epochs):
        start, order = time.monotonic(), rng.permutation(parts["train"].stop)
        for first in range(0, len(order), BATCH):
            batch = np.sort(order[first : first + BATCH])
            _, gradients = network.gradients(
                np.asarray(data.context[batch]), data.candidates, data.candidate[batch],
                data.click[batch], data.conversion[batch], data.weight[batch],
            )  # fmt: skip
            adam.rate = RATE * (1 - step / steps)
            adam.update(network.parameters, gradients)
            step += 1
        loss = losses(network, data, parts["stop"])
        print(f"epoch {epoch + 1}: loss {loss:.6f} ({time.monotonic() - start:.1f} s)", file=sys.stderr)
        if loss < best:
            best, kept, worse = loss, {k: v.copy() for k, v in network.parameters.items()}, 0
        else:
            worse += 1
            if worse == PATIENCE:
                break
    network.parameters.update(kept)


def losses(network, data, part):
    """Click log loss plus that of conversions on clicked rows, both per impression, as in training."""
    logits = network.logits(data.context[part], data.candidates, data.candidate[part])
    weight, click = data.weight[part], data.click[part]
    click_loss = (log_loss(logits[:, 0], click) * weight).sum()
    conversion_loss = (log_loss(logits[:, 1], data.conversion[part]) * weight * click).sum()
    return float((click_loss + conversion_loss) / weight.sum())


def calibrate(network, data, part):
    logits = network.logits(data.context[part], data.candidates, data.candidate[part])
    weight, click = data.weight[part], data.click[part]
    on_click = metrics.platt(logits[:, 0], click, weight)
    on_conversion = metrics.platt(logits[:, 1], data.conversion[part], weight * click)
    network.fold_calibration(*zip(on_click, on_conversion))


def evaluate(network, data, parts, seed):
    part = parts["held_out"]
    probability = sigmoid(network.logits(data.context[part], data.candidates, data.candidate[part]))
    click, weight = data.click[part], data.weight[part]
    baseline, law = by_creative(data, parts["train"])[data.candidate[part]], data.law_click[part]
    known = bool(np.isfinite(law).all())
    scores = [probability[:, 0], baseline] + ([law] if known else [])
    intervals, gains = metrics.bootstrap(scores, click, weight, seed)
    report = {"intervals": intervals, "gain_low": gains[1][0], "gain_high": gains[1][1]}
    report["auc"], report["auc_baseline"] = (metrics.auc(score, click, weight) for score in scores[:2])
    report["auc_low"], report["auc_high"] = intervals[0]
    if known:
        report["auc_law"] = metrics.auc(law, click, weight)
        report["normalised_entropy_law"] = metrics.normalised_entropy(law, click, weight)
    report["normalised_entropy"] = metrics.normalised_entropy(probability[:, 0], click, weight)
    report["normalised_entropy_baseline"] = metrics.normalised_entropy(baseline, click, weight)
    report["calibration"], report["deciles"], report["ece"] = metrics.calibration(probability[:, 0], click, weight)
    clicked = np.flatnonzero(click)
    conversion, score = data.conversion[part][clicked], probability[clicked, 1]
    ones = np.ones(len(clicked), np.float32)
    report["auc_conversion"] = metrics.auc(score, conversion, ones)
    report["calibration_conversion"] = float(score.sum() / max(conversion.sum(), 1))
    (report["auc_conversion_low"], report["auc_conversion_high"]), = metrics.bootstrap([score], conversion, ones, seed)[0]
    if known:
        report["auc_conversion_law"] = metrics.auc(data.law_conversion[part][clicked], conversion, ones)
    report["clicks"], report["conversions"] = float(click.sum()), float(conversion.sum())
    return report


def by_creative(data, part):
    """The rival: each ad's own click rate, with 20 clicks' worth of the mean as prior."""
    count = len(data.candidates)
    weight, click = data.weight[part], data.click[part]
    mean = rate(data.click, data.weight, part)
    shown = np.bincount(data.candidate[part], weights=weight, minlength=count)
    clicked = np.bincount(data.candidate[part], weights=weight * click, minlength=count)
    return ((clicked + 20) / (shown + 20 / mean)).astype(np.float32)


def rate(label, weight, part):
    return float((label[part] * weight[part]).sum() / weight[part].sum())


def judge(report):
    """Passes when it surely ranks better than the rival, beats the mean in log loss, and is calibrated."""
    sound = (
        report["gain_low"] > 0
        and report["normalised_entropy"] < min(1.0, report["normalised_entropy_baseline"])
        and CALIBRATION_MIN <= report["calibration"] <= CALIBRATION_MAX
    )
    return "pass" if sound else "fail"


if __name__ == "__main__":
    main()
