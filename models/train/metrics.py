"""What a held-out slice says about predictions: ranking, calibration, and how sure we are.

Invariant: every figure takes the weight of a row, so thinned negatives count as all those they stand for.
"""

import numpy as np


def auc(score, label, weight):
    """Area under the ROC curve = P(score of a positive > of a negative) + half the ties."""
    return weighted_auc(*tie_groups(score), label, weight)


def tie_groups(score):
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    group = np.concatenate([[0], np.cumsum(ranked[1:] != ranked[:-1])])
    return order, group


def weighted_auc(order, group, label, weight):
    positive = np.bincount(group, weights=(label * weight)[order])
    negative = np.bincount(group, weights=((1 - label) * weight)[order])
    below = np.cumsum(negative) - negative
    pairs = positive.sum() * negative.sum()
    return float((positive * (below + negative / 2)).sum() / pairs) if pairs else float("nan")


def bootstrap(scores, label, weight, seed, rounds=200):
    """95 % intervals of the AUC of each score, and of each score's difference to the first, over resampled rows."""
    rng = np.random.default_rng(seed)
    groups = [tie_groups(score) for score in scores]
    values = np.empty((rounds, len(scores)))
    for r in range(rounds):
        times = np.bincount(rng.integers(0, len(label), len(label)), minlength=len(label))
        values[r] = [weighted_auc(*group, label, weight * times) for group in groups]
    interval = lambda v: tuple(float(q) for q in np.nanquantile(v, [0.025, 0.975]))
    return [interval(values[:, k]) for k in range(len(scores))], [
        interval(values[:, 0] - values[:, k]) for k in range(len(scores))
    ]


def normalised_entropy(probability, label, weight):
    """Log loss over the entropy of the base rate (He et al. 2014, section 2.2): below 1 = better than the mean."""
    p = np.clip(probability.astype(np.float64), 1e-9, 1 - 1e-9)
    loss = -(weight * (label * np.log(p) + (1 - label) * np.log(1 - p))).sum() / weight.sum()
    base = (weight * label).sum() / weight.sum()
    return float(loss / -(base * np.log(base) + (1 - base) * np.log(1 - base)))


def calibration(probability, label, weight):
    """Σp / Σy overall, per decile of p (mean p, rate, Σp/Σy), and the expected calibration error over the deciles."""
    p, y = (probability * weight).astype(np.float64), (label * weight).astype(np.float64)
    order = np.argsort(probability, kind="stable")
    share = np.cumsum(weight[order]) / weight.sum()
    decile = np.minimum((share * 10).astype(int), 9)
    bins = []
    for k in range(10):
        rows = order[decile == k]
        total = weight[rows].sum()
        if total:
            bins.append((p[rows].sum() / total, y[rows].sum() / total, total / weight.sum()))
    error = sum(abs(mean - rate) * part for mean, rate, part in bins)
    return float(p.sum() / y.sum()), bins, float(error)


def platt(logit, label, weight, steps=50):
    """Slope and offset that make `slope × logit + offset` fit best (Platt 1999), by Newton's method.

    Where the slice cannot tell a slope (too few positives, or none positive), only the offset is fitted.
    """
    slope, offset = 1.0, 0.0
    fit_slope = (label * weight).sum() >= 50
    for _ in range(steps):
        x = slope * logit.astype(np.float64) + offset
        p = 1 / (1 + np.exp(-x))
        residual, curvature = (p - label) * weight, p * (1 - p) * weight
        if fit_slope:
            gradient = np.array([(residual * logit).sum() + (slope - 1), residual.sum() + 1e-3 * offset])
            mixed = (curvature * logit).sum()
            hessian = np.array([[(curvature * logit**2).sum() + 1, mixed], [mixed, curvature.sum() + 1e-3]])
            step = np.linalg.solve(hessian, gradient)
        else:
            step = np.array([0.0, (residual.sum() + offset) / (curvature.sum() + 1)])
        slope, offset = slope - step[0], offset - step[1]
        if np.abs(step).max() < 1e-10:
            break
    return (slope, offset) if slope > 0 else (1.0, 0.0)
