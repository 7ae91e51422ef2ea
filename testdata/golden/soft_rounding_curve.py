#!/usr/bin/env python3
"""Writes soft_rounding_curve.json: 20 steps of AdaRound's soft rounding in double precision.

Formulas: Nagel et al. 2020, eq. 20 to 24; Adam: Kingma and Ba 2015, algorithm 1. The weight is
w^ = exp(l) s (floor(w / s) + h(V)), h(V) = clip(1.2 sigmoid(V) - 0.1, 0, 1); the loss is
mean (x w^ - y)^2 + penalty * mean (1 - |2 h - 1|^sharpness).
"""
import json
import os

import numpy as np

rng = np.random.default_rng(11)
N, I, O = 16, 6, 4
x = np.round(rng.normal(size=(N, I)) * 16) / 16
w = np.round(rng.normal(size=(I, O)) * 1024) / 1024
y = np.round((x @ (w + 0.2 * rng.normal(size=(I, O)))) * 64) / 64
s = np.float32(np.abs(w).max(axis=0) / 2.9).astype(np.float64)  # no weight at the end of the grid
rate, scale_rate, penalty, sharpness = 0.05, 0.01, 0.02, 3.0

# The start lies in the cell of the nearest code, at most 0.49 steps from it.
place = w / s
code = np.clip(np.round(place), -4, 3)
place = np.clip(np.clip(place, code - 0.49, code + 0.49), -4, 3)
base = np.minimum(np.floor(place), 2)
h0 = (place - base + 0.1) / 1.2
V, l = np.log(h0 / (1 - h0)), np.zeros((1, O))
state = {"V": [0 * V, 0 * V], "l": [0 * l, 0 * l]}
curve = []
for step in range(1, 21):
    sigma = 1 / (1 + np.exp(-V))
    raw = 1.2 * sigma - 0.1
    h = np.clip(raw, 0, 1)
    inside = (raw > 0) & (raw < 1)
    dh = 1.2 * sigma * (1 - sigma) * inside
    what = np.exp(l) * s * (base + h)
    error = x @ what - y
    curve.append(float(np.mean(error**2)))
    dw = 2 * x.T @ error / error.size
    side = 2 * h - 1
    dpenalty = -sharpness * np.abs(side) ** (sharpness - 1) * np.sign(side) * 2 / w.size
    dV = (dw * np.exp(l) * s + penalty * dpenalty) * dh
    dl = (dw * what).sum(axis=0, keepdims=True)
    for name, p, g, r in (("V", V, dV, rate), ("l", l, dl, scale_rate)):
        m, v = state[name]
        m[:] = 0.9 * m + 0.1 * g
        v[:] = 0.999 * v + 0.001 * g * g
        p -= r * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)

out = {
    "x": x.ravel().tolist(), "weight": w.ravel().tolist(), "y": y.ravel().tolist(),
    "scales": s.tolist(), "rate": rate, "scale_rate": scale_rate, "penalty": penalty,
    "sharpness": sharpness, "loss": curve, "v": V.ravel().tolist(),
}
path = os.path.splitext(os.path.abspath(__file__))[0] + ".json"
with open(path, "w") as file:
    json.dump(out, file)
    file.write("\n")
