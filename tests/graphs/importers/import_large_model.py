"""Import a large torch model and print what it took, as JSON: ``import_large_model.py MODEL BATCH``."""

import json
import sys
import threading
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from jacobench.graphs.importers import from_torch as importer


class Bottleneck(nn.Module):
    """Residual block of three convolutions (He et al., 2016, figure 5)."""

    def __init__(self, n_in, width, stride):
        super().__init__()
        n_out = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(n_in, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, n_out, 1, bias=False), nn.BatchNorm2d(n_out)
        projects = stride != 1 or n_in != n_out
        shortcut = [nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)] if projects else []
        self.downsample = nn.Sequential(*shortcut)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x), inplace=True)


def resnet50():
    """ResNet-50 (He et al., Deep Residual Learning, 2016, table 1): 25.6 million parameters."""
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    n_in = 64
    for width, n_blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for k in range(n_blocks):
            layers.append(Bottleneck(n_in, width, stride if k == 0 else 1))
            n_in = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)), (3, 224, 224)


class Gpt2Block(nn.Module):
    """Block of GPT-2 (Radford et al., 2019): width 768, 12 heads."""

    def __init__(self, width=768, heads=12):
        super().__init__()
        self.ln_1, self.ln_2, self.heads = nn.LayerNorm(width), nn.LayerNorm(width), heads
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))

    def forward(self, x):
        B, T, C = x.shape
        heads = (part.view(B, T, self.heads, -1).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).split(C, dim=2))
        y = F.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp(self.ln_2(x))


def gpt2_block():
    """Return one block and the shape of 1024 tokens."""
    return Gpt2Block(), (1024, 768)


def rss():
    """Return the bytes of the process in memory."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096


def main(name, batch):
    """Import the model; memory counts from the end of torch's export."""
    torch.manual_seed(0)
    module, shape = {"resnet50": resnet50, "gpt2_block": gpt2_block}[name]()
    x = torch.randn(batch, *shape)
    exported, before, peak, done = importer._exported, [], [0], threading.Event()

    def recorded(*args):
        program = exported(*args)
        before.append(rss())
        return program

    def watch():
        while not done.wait(0.005):
            peak[0] = max(peak[0], rss())

    importer._exported = recorded
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    graph, leaves = importer.from_torch(module, x)
    done.set()
    watcher.join()
    error = 0.0
    if batch == 1:
        expected = module.eval()(x).detach().numpy()
        error = abs(graph.evaluate(leaves) - expected).max() / abs(expected).max()
    found = {
        "added_bytes": max(peak[0], before[0]) - before[0],
        "n_parameters": graph.n_parameters,
        "n_nodes": len(graph.nodes),
        "relative_error": float(error),
        "library_seconds": graph.origin.library_seconds,
        "conversion_seconds": graph.origin.conversion_seconds,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
