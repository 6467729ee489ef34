"""The model card: what the model is, on what data, and how good it is on rows that it never saw.

Invariant: every figure comes from the run that wrote the model; nothing is typed in by hand.
"""


def text(report, data, parts, options):
    share = lambda name: f"{parts[name].stop - parts[name].start:,}"
    interval = lambda low, high: f"[{low:.4f}, {high:.4f}]"
    lines = [
        "# Click and conversion model",
        "",
        "Predicts, for one ad in one place to one person, the probability of a click and of a conversion after a click.",
        f"Verdict of the gate: **{report['verdict']}**.",
        "",
        "## Data",
        "",
        f"- {options.data}",
        f"- {len(data.candidate):,} rows by time: {share('train')} to learn, {share('stop')} to stop and calibrate,"
        f" {share('held_out')} held out ({report['clicks']:.0f} clicks, {report['conversions']:.0f} conversions)",
        "- rows without a click may be thinned; every figure weighs them back",
        "- gender and age are in the rows for group metrics, and not among the inputs",
        "",
        "## Held out: clicks",
        "",
        "| | model | by-creative rate | the law itself |",
        "|---|---|---|---|",
        f"| AUC | **{report['auc']:.4f}** | {report['auc_baseline']:.4f} | {number(report, 'auc_law')} |",
        "| 95 % interval (bootstrap) | " + " | ".join(interval(*i) for i in report["intervals"]) + " |",
        f"| normalised entropy | {report['normalised_entropy']:.4f} | {report['normalised_entropy_baseline']:.4f}"
        f" | {number(report, 'normalised_entropy_law')} |",
        "",
        f"AUC above the by-creative rate: {interval(report['gain_low'], report['gain_high'])}.",
        f"Calibration: Σp / Σy = {report['calibration']:.4f}; expected calibration error {report['ece']:.6f}.",
        "",
        "| decile of p | mean p | click rate | p / rate |",
        "|---|---|---|---|",
    ]
    for k, (mean, rate, _) in enumerate(report["deciles"]):
        lines.append(f"| {k + 1} | {mean:.5f} | {rate:.5f} | {mean / rate if rate else float('nan'):.3f} |")
    lines += [
        "",
        "## Held out: conversions after a click",
        "",
        f"AUC {report['auc_conversion']:.4f} {interval(report['auc_conversion_low'], report['auc_conversion_high'])},"
        f" the law's {number(report, 'auc_conversion_law')}; Σp / Σy = {report['calibration_conversion']:.4f}.",
        "",
        "## Inputs",
        "",
        f"`context` f32[1, {data.columns('context')}], `candidate` f32[N, {data.columns('candidate')}];"
        f" {sum(not f.sensitive for f in data.features)} features (`schema.toml`), tables in `embeddings.bin`.",
        f"ONNX Runtime and numpy differ by at most {report['parity']:.1e} on `parity.jsonl`.",
        "",
        "## Limits",
        "",
        "Ads were shown at random, so the figures hold for all fitting ads, not for those that a bidder would choose.",
        "An id the rows never had shares a bucket with others or is as good as unknown: its category and context decide.",
    ]
    return "\n".join(lines) + "\n"


def number(report, name):
    return f"{report[name]:.4f}" if name in report else "not known"
