#!/usr/bin/env python3
"""Draws a small log of auctions from a seeded law and works out, independently of the Rust code, what mcpc, lin, rlb and
the best lin in hindsight buy on it.

    tests/replay/oracle.py           writes sample.log, sample.json and answers.json beside this file
    tests/replay/oracle.py --check   works everything out again and compares it with the files

The formulae are written down as the papers have them, without any of the short cuts of the program: RLB (Cai et al.,
WSDM 2017, section 4) is Bellman's equation over every price. Standard library only; about ten seconds.
"""

import json
import math
import random
import sys
from fractions import Fraction
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEED = 20170206
TRAINING = 20_000
AUCTIONS = 2_345  # 46 episodes and a short one
EPISODE = 50
TOP = 300
SHARES = {"1/32": 10, "1/16": 15, "1/8": 20, "1/4": 85, "1/2": 130}  # and the b0 of lin


def draw(rng, dearer):
    """One auction. Rivals see a part of what makes a click likely, so price and prediction hang together."""

    def normal():
        # Box-Muller from random() alone, whose stream Python keeps from version to version.
        return math.sqrt(-2 * math.log(1 - rng.random())) * math.cos(2 * math.pi * rng.random())

    quality = normal()
    price = min(TOP, int(45 * dearer * math.exp(0.9 * (0.4 * quality + 0.92 * normal()))))
    rate = 0.03 * math.exp(0.7 * quality)
    prediction = min(1.0, rate * math.exp(0.2 * normal()))
    return int(rng.random() < rate), price, float(f"{prediction:.6f}")


def make():
    rng = random.Random(SEED)
    training = [draw(rng, 1.1) for _ in range(TRAINING)]
    counts = [0] * (TOP + 1)
    for _, price, _ in training:
        counts[price] += 1
    campaign = {
        "imp_train": TRAINING,
        "clk_train": sum(click for click, _, _ in training),
        "cost_train": sum(price for _, price, _ in training),
        "price_counter_train": counts,
    }
    return campaign, [draw(rng, 1.0) for _ in range(AUCTIONS)]


def play(log, budget, bid):
    clicks = impressions = cost = 0
    for start in range(0, len(log), EPISODE):
        left, money = EPISODE, budget
        for click, price, prediction in log[start : start + EPISODE]:
            offer = min(bid(left, money, prediction), TOP, money)
            if offer >= price:
                impressions, clicks = impressions + 1, clicks + click
                cost, money = cost + price, money - price
            left -= 1
    return {"clicks": clicks, "impressions": impressions, "cost": cost}


def value_of_money(campaign, budget):
    """V[t][b] for t auctions to come, each worth the mean click rate."""
    theta = campaign["clk_train"] / campaign["imp_train"]
    seen = sum(campaign["price_counter_train"]) + TOP + 1
    density = [(count + 1) / seen for count in campaign["price_counter_train"]]
    table = [[0.0] * (budget + 1)]
    for _ in range(EPISODE - 1):
        last = table[-1]
        row = []
        for money in range(budget + 1):
            keep = last[money]
            total = keep
            for price in range(min(money, TOP) + 1):
                gain = theta + last[money - price] - keep
                if gain <= 0:
                    break
                total += density[price] * gain
            row.append(total)
        table.append(row)
    return table


def rlb(table):
    def bid(left, money, prediction):
        row = table[left - 1]
        offer = 0
        while offer < min(money, TOP) and prediction + row[money - offer - 1] >= row[money]:
            offer += 1
        return offer

    return bid


def answers(campaign, log):
    cpm = campaign["cost_train"] / campaign["imp_train"]
    ctr = campaign["clk_train"] / campaign["imp_train"]
    cpc = campaign["cost_train"] / campaign["clk_train"]
    lin = lambda b0: lambda left, money, prediction: int(prediction * b0 / ctr)
    out = {}
    for share, b0 in SHARES.items():
        budget = int(cpm * float(Fraction(share)) * EPISODE)
        hindsight = [(play(log, budget, lin(b)), b) for b in range(1, TOP + 1)]
        best = max(hindsight, key=lambda one: (one[0]["clicks"], -one[1]))
        out[share] = {
            "budget": budget,
            "mcpc": play(log, budget, lambda left, money, prediction: int(prediction * cpc)),
            "lin": play(log, budget, lin(b0)),
            "rlb": play(log, budget, rlb(value_of_money(campaign, budget))),
            "best lin": best[0] | {"b0": best[1]},
        }
    return out


def main():
    campaign, log = make()
    files = {
        "sample.json": json.dumps(campaign) + "\n",
        "sample.log": "".join(f"{click} {price} {prediction:.6f}\n" for click, price, prediction in log),
        "answers.json": json.dumps({"episode": EPISODE, "budgets": answers(campaign, log)}, indent=1) + "\n",
    }
    for name, text in files.items():
        path = HERE / name
        if sys.argv[1:] != ["--check"]:
            path.write_text(text)
        elif path.read_text() != text:
            sys.exit(f"{path}: differs from what the law and the formulae give; run {Path(__file__).name} to see how")


if __name__ == "__main__":
    main()
