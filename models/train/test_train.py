"""Laws of the training code: gradients are slopes, the AUC counts pairs, calibration restores the mean."""

import unittest

import numpy as np

import metrics
from network import Network, log_loss
from rows import UNUSED, Feature


def feature(name, group, kind, slot, column, **more):
    base = {"pool": None, "max": None, "buckets": None, "dims": None, "sensitive": False}
    return Feature(name=name, group=group, kind=kind, slot=slot, column=column, **(base | more))


FEATURES = [
    feature("site", "context", "category", 0, 0, buckets=5, dims=2),
    feature("tags", "context", "bag", 1, 2, buckets=6, dims=3, max=3, pool="weighted_mean"),
    feature("ltv", "context", "number", 7, 5),
    feature("ad", "candidate", "category", 0, 0, buckets=4, dims=2),
    feature("topics", "candidate", "bag", 1, 2, buckets=4, dims=2, max=2, pool="mean"),
]


def batch(rng, n=16):
    bits = lambda values: values.astype(np.float32).view(np.uint32)
    tags = rng.integers(0, 6, (n, 3)).astype(np.uint32)
    tags[:4, 1:], tags[0, 0] = UNUSED, UNUSED
    weights = bits(np.where(tags == UNUSED, 0, rng.random((n, 3))))
    site = rng.integers(0, 5, (n, 1)).astype(np.uint32)
    context = np.hstack([site, tags, weights, bits(rng.standard_normal((n, 1)))])
    ads = np.array([[0, 1, 2], [1, 3, UNUSED], [2, UNUSED, UNUSED]], np.uint32)
    click = (rng.random(n) < 0.5).astype(np.float32)
    conversion = click * (rng.random(n) < 0.5)
    return context, ads, rng.integers(0, 3, n), click, conversion.astype(np.float32), rng.random(n).astype(np.float32)


class Laws(unittest.TestCase):
    def test_every_gradient_is_the_slope_of_the_loss(self):
        rng = np.random.default_rng(5)
        network = Network(FEATURES, 3)
        # In double precision, so that a difference quotient is exact enough to judge by.
        network.parameters = {k: v.astype(np.float64) for k, v in network.parameters.items()}
        context, ads, of, click, conversion, weight = batch(rng)

        def loss():
            columns = network.columns("context", context)[0], network.columns("candidate", ads)[0][of]
            logits = network.forward(*columns)[0]
            clicks = (log_loss(logits[:, 0], click) * weight).sum()
            return (clicks + (log_loss(logits[:, 1], conversion) * weight * click).sum()) / weight.sum()

        _, gradients = network.gradients(context, ads, of, click, conversion, weight)
        self.assertEqual(set(gradients), set(network.parameters))
        for name, gradient in gradients.items():
            direction = rng.standard_normal(gradient.shape)
            step, before = 1e-3, network.parameters[name].copy()
            network.parameters[name] = before + step * direction
            above = loss()
            network.parameters[name] = before - step * direction
            slope = (above - loss()) / (2 * step)
            network.parameters[name] = before
            self.assertAlmostEqual(slope, float((gradient * direction).sum()), delta=2e-3 + 2e-2 * abs(slope), msg=name)

    def test_the_auc_is_the_share_of_ordered_pairs(self):
        rng = np.random.default_rng(7)
        score, label, weight = rng.integers(0, 5, 60), rng.integers(0, 2, 60), rng.random(60)
        pairs = [
            (weight[i] * weight[j], 1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0)
            for i in np.flatnonzero(label) for j in np.flatnonzero(1 - label)
        ]  # fmt: skip
        naive = sum(w * v for w, v in pairs) / sum(w for w, _ in pairs)
        self.assertAlmostEqual(metrics.auc(score, label, weight), naive)

    def test_calibration_restores_the_mean_and_a_known_slope(self):
        rng = np.random.default_rng(11)
        truth = rng.normal(-2, 1, 20_000)
        label = (rng.random(20_000) < 1 / (1 + np.exp(-truth))).astype(float)
        slope, offset = metrics.platt(truth * 2 + 1, label, np.ones(20_000))
        self.assertAlmostEqual(slope, 0.5, delta=0.03)
        calibrated = 1 / (1 + np.exp(-(slope * (truth * 2 + 1) + offset)))
        self.assertAlmostEqual(calibrated.sum() / label.sum(), 1, delta=1e-2)


if __name__ == "__main__":
    unittest.main()
