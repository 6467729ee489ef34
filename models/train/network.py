"""The network in numpy: embeddings, a candidate half that the context half scales and shifts, two heads.

    scale = context Ws + a      shift = context Wt + b      half = candidate V + c
    z = half × scale + shift    m = relu(z W1 + d)          logits = z Uz + m Um + u

(Perez et al. 2018, section 2, with the ad as the one that is modulated.) The product carries how well a person's
interests fit the ad. Heads: click, conversion given click.

Invariant: every sum runs in one order on one thread, so a seed gives one model.
"""

import numpy as np

from rows import UNUSED

HALF = 48
HIDDEN = 24
# Spread of new embeddings: wide enough that products of two of them move the loss from the first step.
SPREAD = 0.2


class Network:
    def __init__(self, features, seed):
        rng = np.random.default_rng(seed)
        self.groups = {name: [f for f in features if f.group == name] for name in ("context", "candidate")}
        width = {name: sum(f.width for f in group) for name, group in self.groups.items()}
        self.widths = width
        p = {f"table/{f.name}": table(rng, f) for f in features if f.has_table}
        for name, rows, columns in [
            ("Ws", width["context"], HALF),
            ("Wt", width["context"], HALF),
            ("V", width["candidate"], HALF),
            ("W1", HALF, HIDDEN),
            ("Uz", HALF, 2),
            ("Um", HIDDEN, 2),
        ]:
            p[name] = (rng.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)
        for name, columns in [("a", HALF), ("b", HALF), ("c", HALF), ("d", HIDDEN), ("u", 2)]:
            p[name] = np.zeros(columns, np.float32)
        p["a"] += 1
        self.parameters = p

    def columns(self, group, slots):
        """From slots u32[B, S] to (columns f32[B, C], what `columns_backward` needs)."""
        p = self.parameters
        out = np.zeros((len(slots), self.widths[group]), np.float32)
        kept = []
        for f in self.groups[group]:
            if f.sensitive:
                continue
            if f.kind == "number":
                out[:, f.column] = slots[:, f.slot].copy().view(np.float32)
                continue
            target = slice(f.column, f.column + f.dims)
            if f.kind == "category":
                ids = slots[:, f.slot].astype(np.int64)
                out[:, target] = p[f"table/{f.name}"][ids]
                kept.append((f, ids, None, None))
            else:
                ids, weights, starts, rows = bag(f, slots)
                out[:, target] = np.add.reduceat(p[f"table/{f.name}"][ids] * weights[:, None], starts, axis=0)
                kept.append((f, ids, weights, rows))
        return out, kept

    def columns_backward(self, kept, gradient, gradients):
        for f, ids, weights, rows in kept:
            g = gradient[:, f.column : f.column + f.dims]
            if rows is not None:
                g = g[rows] * weights[:, None]
            sums = [np.bincount(ids, weights=g[:, k], minlength=f.buckets) for k in range(f.dims)]
            name = f"table/{f.name}"
            gradients[name] = gradients.get(name, 0) + np.stack(sums, axis=1).astype(np.float32)

    def forward(self, context, candidate):
        """Logits f32[B, 2] of column matrices; `context` may have one row for all candidates."""
        p = self.parameters
        scale, half = context @ p["Ws"] + p["a"], candidate @ p["V"] + p["c"]
        z = half * scale + (context @ p["Wt"] + p["b"])
        hidden = z @ p["W1"] + p["d"]
        m = np.maximum(hidden, 0)
        return z @ p["Uz"] + m @ p["Um"] + p["u"], (scale, half, z, hidden, m)

    def gradients(self, context_slots, candidate_slots, candidate_of, click, conversion, weight):
        """Loss and gradients of one batch. The conversion head learns from clicked rows only."""
        p, g = self.parameters, {}
        context, context_kept = self.columns("context", context_slots)
        ads, ads_kept = self.columns("candidate", candidate_slots)
        candidate = ads[candidate_of]
        logits, (scale, half, z, hidden, m) = self.forward(context, candidate)
        probability = sigmoid(logits)
        total = weight.sum()
        clicked = click * weight
        d = np.empty_like(logits)
        d[:, 0] = (probability[:, 0] - click) * weight / total
        d[:, 1] = (probability[:, 1] - conversion) * clicked / total
        g["u"], g["Uz"], g["Um"] = d.sum(0), z.T @ d, m.T @ d
        dhidden = (d @ p["Um"].T) * (hidden > 0)
        g["d"], g["W1"] = dhidden.sum(0), z.T @ dhidden
        dz = d @ p["Uz"].T + dhidden @ p["W1"].T
        dscale, dhalf = dz * half, dz * scale
        g["a"], g["b"], g["c"] = dscale.sum(0), dz.sum(0), dhalf.sum(0)
        g["Ws"], g["Wt"], g["V"] = context.T @ dscale, context.T @ dz, candidate.T @ dhalf
        dcontext = dscale @ p["Ws"].T + dz @ p["Wt"].T
        dcandidate = dhalf @ p["V"].T
        self.columns_backward(context_kept, dcontext, g)
        by_ad = np.zeros_like(ads)
        for k in range(by_ad.shape[1]):
            by_ad[:, k] = np.bincount(candidate_of, weights=dcandidate[:, k], minlength=len(ads))
        self.columns_backward(ads_kept, by_ad, g)
        loss = log_loss(logits[:, 0], click)
        return float((loss * weight).sum() / total), g

    def logits(self, context_slots, candidate_slots, candidate_of, batch=8192):
        ads, _ = self.columns("candidate", candidate_slots)
        parts = []
        for start in range(0, len(context_slots), batch):
            context, _ = self.columns("context", np.asarray(context_slots[start : start + batch]))
            parts.append(self.forward(context, ads[candidate_of[start : start + batch]])[0])
        return np.concatenate(parts)

    def fold_calibration(self, slope, offset):
        """Puts `slope × logit + offset` per head into the last layer: calibration costs nothing when serving."""
        p = self.parameters
        slope, offset = np.asarray(slope, np.float32), np.asarray(offset, np.float32)
        p["Uz"], p["Um"], p["u"] = p["Uz"] * slope, p["Um"] * slope, p["u"] * slope + offset


class Adam:
    """Kingma & Ba 2015, algorithm 1, with decoupled weight decay on the embeddings (Loshchilov & Hutter 2019)."""

    def __init__(self, parameters, rate, decay):
        self.rate, self.decay, self.step = rate, decay, 0
        self.moments = {name: (np.zeros_like(v), np.zeros_like(v)) for name, v in parameters.items()}

    def update(self, parameters, gradients):
        self.step += 1
        rate = self.rate * np.sqrt(1 - 0.999**self.step) / (1 - 0.9**self.step)
        for name, gradient in gradients.items():
            first, second = self.moments[name]
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient * gradient - second)
            if name.startswith("table/"):
                parameters[name] *= 1 - self.rate * self.decay
            parameters[name] -= (rate * first / (np.sqrt(second) + 1e-8)).astype(np.float32)


def table(rng, feature):
    return (SPREAD * rng.standard_normal((feature.buckets, feature.dims))).astype(np.float32)


def bag(feature, slots):
    """The used values of a bag, row after row: ids, weights of the pooled sum, where each row starts, row numbers."""
    ids = slots[:, feature.slot : feature.slot + feature.max]
    used = ids != UNUSED
    if feature.pool == "weighted_mean":
        weights = slots[:, feature.slot + feature.max : feature.slot + 2 * feature.max].copy().view(np.float32)
    else:
        weights = np.ones(ids.shape, np.float32)
    weights = np.where(used, weights, 0)
    total = weights.sum(1, dtype=np.float32)
    empty = total <= 0
    ids, used = np.where(empty[:, None], 0, ids), used.copy()
    used[empty] = False
    used[empty, 0] = True
    weights[empty, 0] = 1
    if feature.pool != "sum":
        weights = weights / np.where(empty, 1, total)[:, None]
    counts = used.sum(1)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rows = np.repeat(np.arange(len(slots)), counts)
    return ids[used].astype(np.int64), weights[used].astype(np.float32), starts, rows


def sigmoid(x):
    return np.float32(1) / (np.float32(1) + np.exp(-x))


def log_loss(logit, label):
    """−log p of a Bernoulli label, from the logit: ln(1 + eˣ) − label·x without overflow."""
    return np.maximum(logit, 0) + np.log1p(np.exp(-np.abs(logit))) - label * logit
