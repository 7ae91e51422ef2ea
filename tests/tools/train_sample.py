#!/usr/bin/env python3
"""Trains the classifier of the built-in sample and writes it as ONNX.

    python3 tests/tools/train_sample.py [--out testdata/sample]

Needs numpy and PyTorch (written for 1.13) and the test split written by
make_sample_data.py. The network is a small stack of inverted residuals:
depthwise-separable, BatchNormalization after every convolution, ReLU6 (Clip
in ONNX), residual Adds, global average pooling and one Gemm. It is exported
with its BatchNormalization nodes as they are.

The channels are deliberately uneven: the BatchNormalization scales start
log-normally spread and neither they nor the depthwise weights are decayed, so
that after folding a few channels of a layer are far wider than the rest, as
happens in real mobile networks. One scale per tensor at 4 bits then fails
without equalization. The closing table shows by how much (weights only,
symmetric min-max, round to nearest).

Everything is seeded and runs on one thread. The weights of the last epoch are
taken as they are: neither the validation nor the test split selects anything
during a run. (SPREAD and BN_EPS were set by looking at the closing table.)
Takes about ten minutes on one core; another machine or PyTorch version gives
a slightly different model.
"""
import argparse
import copy
import os
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import make_sample_data as data

SEED = 7
EPOCHS = 12
BATCH = 64
PEAK_LR = 0.01
WEIGHT_DECAY = 1e-4
TRAIN_COUNT = 40000
VAL_COUNT = 1000
SPREAD = 0.4  # standard deviation of log(gamma) at the start
BN_EPS = 1e-3  # keeps nearly silent channels from folding to huge weights
OPSET = 13

# expansion, output channels, stride
BLOCKS = [(1, 16, 2), (4, 24, 1), (4, 24, 1), (4, 32, 2), (4, 32, 1),
          (4, 56, 2), (4, 56, 1)]
STEM, HEAD = 16, 128


class ConvBN(nn.Sequential):
    def __init__(self, cin, cout, kernel=3, stride=1, groups=1, act=True):
        layers = [nn.Conv2d(cin, cout, kernel, stride, kernel // 2,
                            groups=groups, bias=False),
                  nn.BatchNorm2d(cout, eps=BN_EPS)]
        if act:
            layers.append(nn.ReLU6())
        super().__init__(*layers)


class InvertedResidual(nn.Module):
    def __init__(self, cin, expansion, cout, stride):
        super().__init__()
        hidden = cin * expansion
        self.residual = stride == 1 and cin == cout
        if expansion != 1:
            self.expand = ConvBN(cin, hidden, 1)
        else:
            self.expand = None
        self.depthwise = ConvBN(hidden, hidden, 3, stride, groups=hidden)
        self.project = ConvBN(hidden, cout, 1, act=False)

    def forward(self, x):
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y


class SampleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = ConvBN(3, STEM, 3, 1)
        blocks, cin = [], STEM
        for expansion, cout, stride in BLOCKS:
            blocks.append(InvertedResidual(cin, expansion, cout, stride))
            cin = cout
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvBN(cin, HEAD, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(HEAD, len(data.CLASSES))

        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.BatchNorm2d) and "project" not in name:
                with torch.no_grad():
                    module.weight.copy_(torch.exp(
                        SPREAD * torch.randn(module.weight.shape)))

    def forward(self, x):
        x = self.head(self.blocks(self.stem(x)))
        return self.classifier(torch.flatten(self.pool(x), 1))


def preprocess(images):
    """uint8 to float: (u8 / 255 - 0.5) / 0.5."""
    return (images.float() / 255.0 - 0.5) / 0.5


def to_nchw(images):
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def accuracy(net, images, labels):
    net.eval()
    hits = 0
    with torch.no_grad():
        for i in range(0, len(images), 200):
            logits = net(preprocess(images[i:i + 200]))
            hits += (logits.argmax(1) == labels[i:i + 200]).sum().item()
    return 100.0 * hits / len(images)


def train(net, epochs):
    images, labels = data.draw_split("train", TRAIN_COUNT)
    images, labels = to_nchw(images), torch.from_numpy(labels)
    net.to(memory_format=torch.channels_last)  # much the faster on a CPU
    val_images, val_labels = data.draw_split("val", VAL_COUNT)
    val_images, val_labels = to_nchw(val_images), torch.from_numpy(val_labels)

    decayed, free = [], []
    for module in net.modules():
        for parameter in module.parameters(recurse=False):
            dense = (parameter.dim() > 1 and
                     not (isinstance(module, nn.Conv2d) and module.groups > 1))
            (decayed if dense else free).append(parameter)
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY},
         {"params": free, "weight_decay": 0.0}], lr=PEAK_LR)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_LR, total_steps=epochs * steps, pct_start=0.2)

    start = time.time()
    for epoch in range(epochs):
        net.train()
        order = torch.randperm(len(images))
        total = 0.0
        for step in range(steps):
            pick = order[step * BATCH:(step + 1) * BATCH]
            batch = preprocess(images[pick]).contiguous(
                memory_format=torch.channels_last)
            loss = F.cross_entropy(net(batch), labels[pick],
                                   label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print("epoch %2d  loss %.4f  val %.2f  (%.0f s)" % (
            epoch + 1, total / steps, accuracy(net, val_images, val_labels),
            time.time() - start), flush=True)
    net.to(memory_format=torch.contiguous_format)


# --- the weight-only simulation -------------------------------------------------

def fold(net):
    """A copy of the network with every BatchNorm folded into its Conv."""
    net = copy.deepcopy(net).eval()
    for module in net.modules():
        if not isinstance(module, ConvBN):
            continue
        conv, norm = module[0], module[1]
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        conv.weight = nn.Parameter(conv.weight * scale[:, None, None, None])
        conv.bias = nn.Parameter(norm.bias - norm.running_mean * scale)
        module[1] = nn.Identity()
    return net.eval()


def round_weights(net, bits, per_channel):
    """Symmetric min-max, nearest rounding of every Conv and Linear weight."""
    net = copy.deepcopy(net)
    top = 2 ** (bits - 1) - 1
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            weight = module.weight.data
            reach = weight.abs()
            if per_channel:
                reach = reach.flatten(1).max(1).values
                reach = reach.reshape([-1] + [1] * (weight.dim() - 1))
            else:
                reach = reach.max()
            scale = (reach / top).clamp(min=1e-12)
            weight.copy_(torch.round(weight / scale) * scale)
    return net


def report(net, images, labels):
    folded = fold(net)
    print("top-1 on the %d test images:" % len(images))
    print("  float              %6.2f" % accuracy(net, images, labels))
    print("  float, BN folded   %6.2f" % accuracy(folded, images, labels))
    for bits in (8, 4):
        for per_channel in (False, True):
            rounded = round_weights(folded, bits, per_channel)
            print("  W%d per-%-8s     %6.2f" % (
                bits, "channel" if per_channel else "tensor",
                accuracy(rounded, images, labels)))
    print("widest over median channel range after folding, depthwise layers:")
    print("  " + " ".join("%.1f" % (r.max() / r.median()) for r in (
        m.weight.data.abs().flatten(1).max(1).values
        for m in folded.modules()
        if isinstance(m, nn.Conv2d) and m.groups > 1)))


def export(net, path):
    net.eval()
    torch.onnx.export(
        net, torch.zeros(1, 3, data.SIZE, data.SIZE), path,
        input_names=["input"], output_names=["logits"],
        dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}},
        opset_version=OPSET, do_constant_folding=False,
        training=torch.onnx.TrainingMode.PRESERVE)  # keeps BatchNormalization


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    default = os.path.join(here, "..", "..", "testdata", "sample")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default=os.path.normpath(default),
                        help="folder of the sample (default: testdata/sample)")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    net = SampleNet()
    print("%d parameters" % sum(p.numel() for p in net.parameters()))
    train(net, args.epochs)
    path = os.path.join(args.out, "model.onnx")
    export(net, path)
    print("wrote model.onnx, %d bytes" % os.path.getsize(path))
    report(net,
           torch.from_numpy(np.load(os.path.join(args.out, "test_images.npy"))),
           torch.from_numpy(np.load(os.path.join(args.out, "test_labels.npy"))))


if __name__ == "__main__":
    main()
