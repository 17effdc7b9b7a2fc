"""PyTorch models as graphs: values at two points and pullbacks agree with torch's own, in both precisions."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest

from jacobench.graphs.importers.from_torch import from_torch
from jacobench.strategies.registry import load

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

pytestmark = pytest.mark.models

VALUE = {"float32": 1e-5, "float64": 1e-10}
COTANGENT = {"float32": 1e-4, "float64": 1e-8}


def numbers(*shape, low=-1.0, high=1.0, seed=0):
    rng = np.random.default_rng([seed, *shape])
    return torch.from_numpy(rng.uniform(low, high, shape).astype("f4"))


class Function(nn.Module):
    """A module of one function of inputs and of a module's parameters."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            if torch.is_tensor(part):
                self.register_parameter(name, nn.Parameter(part))
            else:
                self.add_module(name, part)

    def forward(self, x, *others):
        return self.function(self, x, *others)


def mlp():
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 3)), numbers(4, 5)


def cnn():
    layers = [
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 3, 3, stride=2),
    ]
    model = nn.Sequential(
        *layers, nn.BatchNorm2d(3, affine=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
    )
    for part in (model[1], model[5]):
        part.running_mean.uniform_(-0.5, 0.5)
        part.running_var.uniform_(0.5, 2.0)
    return model, numbers(2, 2, 8, 8)


class Block(nn.Module):
    """Residual block with a projection."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out)
        self.conv2, self.bn2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out)
        self.down = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x):
        y = F.relu_(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.down(x)
        return F.relu(y, inplace=True)


def resnet():
    return nn.Sequential(Block(2, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4)), numbers(2, 2, 6, 6)


def depthwise():
    layers = [nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Hardswish(), nn.Conv2d(4, 6, 1), nn.ReLU6()]
    return nn.Sequential(*layers, nn.Conv2d(6, 6, 3, groups=2, dilation=2), nn.AvgPool2d(2)), numbers(2, 4, 7, 8)


def autoencoder():
    down = [nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.SiLU(), nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU()]
    up = [nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1), nn.ReLU(), nn.ConvTranspose2d(3, 1, 2, 2, output_padding=1)]
    return nn.Sequential(*down, *up, nn.Sigmoid()), numbers(2, 1, 8, 8)


class UNet(nn.Module):
    """Two levels with a skip connection and nearest upsampling."""

    def __init__(self):
        super().__init__()
        self.down, self.middle, self.up = (
            nn.Conv2d(1, 2, 3, padding=1),
            nn.Conv2d(2, 3, 3, padding=1),
            nn.Conv2d(5, 1, 1),
        )

    def forward(self, x):
        skip = F.elu(self.down(x))
        h = F.elu(self.middle(F.max_pool2d(skip, 2)))
        return self.up(torch.cat([skip, F.interpolate(h, scale_factor=2, mode="nearest")], dim=1))


def unet():
    return UNet(), numbers(2, 1, 6, 4)


def encoder_layer():
    return nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, dropout=0.3), numbers(2, 5, 8)


def masked_encoder():
    mask = nn.Transformer.generate_square_subsequent_mask(4)
    layer = nn.TransformerEncoderLayer(8, 2, 12, norm_first=True, activation="gelu")
    return Function(lambda m, x: m.layer(x, src_mask=mask, is_causal=True), layer=layer), numbers(4, 2, 8)


def cross_attention():
    """Attend from queries to a memory of another length, batch second, so that the leading axes differ."""
    attention = nn.MultiheadAttention(8, 2, kdim=6, vdim=6)
    return Function(lambda m, q, kv: m.a(q, kv, kv)[0], a=attention), numbers(3, 2, 8), numbers(5, 2, 6)


class Attention(nn.Module):
    """Causal self-attention of GPT-2."""

    def __init__(self, width, heads, length):
        super().__init__()
        self.c_attn, self.c_proj, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads
        self.register_buffer("bias", torch.tril(torch.ones(length, length)).view(1, 1, length, length))

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = (each.view(B, T, self.heads, C // self.heads).transpose(1, 2) for each in self.c_attn(x).split(C, 2))
        scores = (q @ k.transpose(-2, -1)) * (1.0 / (C // self.heads) ** 0.5)
        scores = scores.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        return self.c_proj((F.softmax(scores, dim=-1) @ v).transpose(1, 2).contiguous().view(B, T, C))


class GPT(nn.Module):
    """Embeddings, one block and a head that is tied to the embedding."""

    def __init__(self, vocabulary=11, width=8, heads=2, length=6):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(width), Attention(width, heads, length), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens):
        h = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        h = h + self.attn(self.ln_1(h))
        return self.lm_head(h + self.mlp(self.ln_2(h)))


def gpt():
    return GPT(), torch.tensor([[1, 2, 3, 2], [10, 0, 0, 5]])


def sdpa():
    """Fused attention, causal and with a mask that hides a whole row."""
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[1], mask[2, :2] = False, False

    def function(_, q, k, v):
        causal = F.scaled_dot_product_attention(q, q, q, is_causal=True)
        return causal + F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    return Function(function), numbers(2, 3, 4), numbers(2, 5, 4, seed=1), numbers(2, 5, 4, seed=2)


def lstm():
    return nn.LSTM(3, 4, num_layers=2, bidirectional=True), numbers(5, 2, 3)


def gru():
    return nn.GRU(3, 4, batch_first=True), numbers(2, 5, 3), numbers(1, 2, 4)


class Unrolled(nn.Module):
    """RNN cells in a loop."""

    def __init__(self):
        super().__init__()
        self.cell, self.lstm = nn.RNNCell(3, 4), nn.LSTMCell(4, 4)

    def forward(self, x):
        h = x.new_zeros(x.shape[1], 4)
        state = (torch.zeros_like(h), torch.zeros_like(h))
        for step in x:
            h = self.cell(step, h)
            state = self.lstm(h, state)
        return state[0]


def unrolled():
    return Unrolled(), numbers(6, 2, 3)


def parametrized():
    spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 5))
    weight = nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 3, 3))
    return Function(lambda m, x, y: m.s(x).sum() * m.w(y), s=spectral, w=weight), numbers(3, 4), numbers(2, 2, 6)


def old_norms():
    with pytest.warns(FutureWarning):
        weight = nn.utils.weight_norm(nn.Linear(4, 5))
    return nn.Sequential(weight, nn.utils.spectral_norm(nn.Linear(5, 4))), numbers(3, 4)


def used_twice():
    return Function(lambda m, x: m.layer(torch.tanh(m.layer(x))) + x, layer=nn.Linear(4, 4)), numbers(3, 4)


def normalizations():
    parts = {
        "group": nn.GroupNorm(2, 4),
        "instance": nn.InstanceNorm1d(4, affine=True),
        "rms": nn.RMSNorm(6),
        "layer": nn.LayerNorm([4, 6]),
        "batch": nn.BatchNorm1d(4, track_running_stats=False),
    }
    for part in parts.values():
        for parameter in part.parameters():
            nn.init.uniform_(parameter, 0.5, 1.5)

    def function(m, x):
        return m.batch(m.layer(m.group(x)) * m.instance(x) + m.rms(x))

    return Function(function, **parts), numbers(3, 4, 6)


def activations():
    functions = [
        *(nn.Mish(), nn.SELU(), nn.CELU(0.7), nn.ELU(1.3), nn.Softplus(2.0, 1.5), nn.Softsign(), nn.LogSigmoid()),
        *(nn.Softshrink(0.3), nn.Hardshrink(0.2), nn.Tanhshrink(), nn.Threshold(0.1, -0.4), nn.Hardsigmoid()),
        *(nn.Hardtanh(-0.5, 0.6), nn.LeakyReLU(0.2), nn.PReLU(4, 0.3), nn.GELU(), nn.GELU("tanh"), nn.RReLU()),
        *(nn.Hardswish(), nn.ReLU6(), nn.Softmin(-1), nn.LogSoftmax(1), nn.Softmax2d(), nn.GLU(1)),
    ]
    return Function(lambda m, x: torch.cat([f(3 * x) for f in m.f], 1), f=nn.ModuleList(functions)), numbers(2, 4, 3, 3)


def einsums():
    def function(m, x, y):
        z = torch.einsum("bij,bjk,kl->bil", x, y, m.w)
        return torch.einsum("bii->b", z[:, :, :3]) + torch.einsum("...ij,...ij->...", x, x)

    return Function(function, w=numbers(5, 4)), numbers(2, 3, 4), numbers(2, 4, 5)


def deeponet():
    branch, trunk = nn.Sequential(nn.Linear(6, 5), nn.Tanh()), nn.Sequential(nn.Linear(2, 5), nn.Tanh())
    return (
        Function(lambda m, u, y: m.b(u) @ m.t(y).T + m.c, b=branch, t=trunk, c=numbers()),
        numbers(3, 6),
        numbers(7, 2),
    )


def indices():
    rows, columns = torch.tensor([2, 0, 2]), torch.tensor([[0, 3, 1], [2, 2, 0]])

    def function(_, x):
        y = x.index_select(0, rows) + x[torch.tensor([0, -1, 1]), :] + x[[1, 1, 2]][:, [3, 0, 1, 2]]
        picked = x.gather(1, columns)
        taken = torch.take_along_dim(x[1:], columns, dim=1) * F.one_hot(columns, 4).to(x.dtype)[..., 0]
        y = y.clone()
        y[1, ::2] += picked[0, :2]
        y[[0, 2], [1, 1]] = picked[1, :2].sum()
        y = y.scatter_add(1, columns, picked).index_add(0, rows, x).scatter(1, columns[:, :1], 2 * picked[:, :1])
        return torch.cat([taken, y[:, :3]]), y

    return Function(function), numbers(3, 4)


def solver(steps=30):
    def function(m, x):
        for _ in range(steps):
            k = torch.tanh(x @ m.A)
            x = x + 0.05 * torch.tanh((x + 0.025 * k) @ m.A)
        return x

    return Function(function, A=numbers(3, 3)), numbers(2, 3)


def scalars():
    """Parameters and an input without axes, and an output without axes; a parameter that is not used."""

    def function(m, x, t):
        return (m.a * x.exp() + t).mean() * m.a.sigmoid() / (1 + t**2) - t ** m.a.abs()

    return Function(function, a=torch.tensor(0.7), unused=numbers(3)), numbers(2, 3), torch.tensor(0.4)


def in_place():
    def function(m, x):
        y = x * m.w
        y.mul_(2).add_(1, alpha=3)
        y[0] = 0.5 * x[1]
        y[:, 1:3].sub_(x[:, :2])
        y.clamp_(max=4.0)
        z = torch.zeros(2, 4, dtype=x.dtype)
        z[:, ::2] = y[:, :2]
        return z.copy_(z + y[0]).transpose_(0, 1).relu_()

    return Function(function, w=numbers(4)), numbers(2, 4)


def masked_updates():
    def function(m, x, y):
        a = x * m.w
        a[a > 0.3] = 0.25
        a[(x > y).all(1)] = y[0] * m.w
        a[x < -0.8] = m.w.sum()
        return a.square() + a

    return Function(function, w=numbers(4)), numbers(5, 4), numbers(5, 4, seed=1) - 0.5


def piecewise():
    def function(m, x, y):
        a = torch.where(x > y, x * m.w, y.square())
        b = torch.where((x < 0) & ~(y > 0.5) | (x == y), 1.0, x.abs())
        c = torch.where((x > y).all(1, keepdim=True) | (x > 2).any(), x, y) + torch.nan_to_num(
            torch.where(x.isinf(), y, x)
        )
        return a * b + c + (x > 0) * y + torch.clamp(x, -0.5, 0.5) * (y != 0).to(x.dtype) + x.masked_fill(y > 0.2, 3.0)

    return Function(function, w=numbers(3)), numbers(4, 3), numbers(4, 3, seed=1)


def arithmetic():
    def function(_, x, y):
        terms = [
            *(x / y, 2 / y, 3 - x, x - 2 * y, x**3, y**x, 2**x, y**-0.5, x.atan2(y), torch.logaddexp(x, y)),
            *(x.sqrt() + y.rsqrt(), x.log2() + y.log10() + x.log1p(), x.sin() * y.cos() + x.tan(), x.expm1() * y.erf()),
            *(torch.maximum(x, y), torch.minimum(x, y), torch.clamp(x, y - 0.3, y + 0.2), x.remainder(y), x.fmod(y)),
            *(x.asinh() + (0.5 * y).atanh(), (x / 3).asin() + (y / 3).acos() + x.atan(), x.sinh() - y.cosh(), x.erfc()),
            *(torch.addcmul(x, x, y, value=0.3), torch.addcdiv(x, x, y), torch.lerp(x, y, 0.3), torch.hypot(x, y)),
            *(x.floor() * y + y.round() + x.trunc() + x.frac() + x.sign(), x.reciprocal(), torch.rsub(x, y, alpha=2)),
        ]
        return torch.cat([term.expand(2, 3, 4).flatten() for term in terms])

    return Function(function), numbers(2, 3, 4, low=0.3, high=1.4), numbers(3, 1, low=0.4, high=1.2)


def reductions():
    def function(m, x):
        m_x = x * m.w
        whole = [m_x.sum(), m_x.mean(), m_x.max(), m_x.min(), m_x.prod(), m_x.var(), m_x.std(), m_x.norm()]
        along = [m_x.sum((0, 2)), m_x.mean(1).sum(1), m_x.amax((0, 2)), m_x.max(2).values.sum(0), m_x.prod(1).sum(1)]
        norms = [
            x.norm(dim=1).sum(1),
            x.norm(1, dim=2).sum(0),
            x.norm(float("inf"), dim=2).sum(0),
            x.norm(3, dim=2).sum(0),
        ]
        more = [
            m_x.logsumexp((1, 2)),
            m_x.cumsum(1).sum(2).sum(0),
            x.var((0, 2), correction=0),
            x.cumprod(2).sum((0, 2)),
        ]
        mean_and_var = sum(torch.var_mean(x, dim=(0, 2)))
        distances = F.pairwise_distance(x[0], m_x[1]) + F.cosine_similarity(x[0], m_x[1]) + F.normalize(x[1]).sum(1)
        return torch.cat([torch.stack(whole), *along, *norms, *more, mean_and_var, distances])

    return Function(function, w=numbers(3, 4)), numbers(2, 3, 4, low=0.3, high=1.4)


def movements():
    def function(m, x):
        pieces = [
            *(x.flip(0, 2), x.roll((1, -1), (0, 2)), x.roll(5), x.repeat(1, 2, 1)[:, ::2], x.expand(2, 2, 3, 4)[1]),
            *(x.permute(1, 2, 0).reshape(2, 3, 4), F.pad(x, (1, 2, 0, 1), value=2.0)[:, :3, 2:6], x.tril(), x.triu(1)),
            *(x.rot90(2, (1, 2)), torch.stack(x.unbind(1), 1), torch.cat(x.chunk(2, 2), 2), x.swapaxes(0, 2).mT.mT.T),
            *(x.as_strided((2, 3, 4), (12, 4, 1)), F.pad(x, (1, 1), mode="reflect")[..., 2:], x.narrow(2, 0, 4)),
            *(
                F.pad(x, (2, 0), mode="replicate")[..., :4],
                F.pad(x, (2, 2), mode="circular")[..., 1:5],
                x.movedim(0, 0),
            ),
            *(
                torch.cat([x[..., :2], m.w.expand(2, 3, 2)], -1),
                x.repeat_interleave(2, 1)[:, 1:4],
                x.unsqueeze(1)[:, 0],
            ),
        ]
        extra = x.diagonal(dim1=1, dim2=2).sum() + x.unfold(2, 3, 1).sum(-1).max() + torch.diag_embed(x[0, 0]).norm()
        shuffled = F.pixel_shuffle(F.pixel_unshuffle(x.reshape(1, 1, 4, 6), 2), 2).reshape(2, 3, 4)
        return torch.stack([*pieces, shuffled]) * extra

    return Function(function, w=numbers(2)), numbers(2, 3, 4)


def resampling():
    def function(_, x):
        bilinear = F.interpolate(x, size=(7, 5), mode="bilinear", align_corners=False)
        pools = [F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), F.avg_pool2d(x, 3, 2, 1), F.max_pool2d(x, 3, 2, 1)]
        ceiled = [
            F.avg_pool2d(x, 3, 2, ceil_mode=True),
            F.max_pool2d(x, 2, 3, ceil_mode=True),
            F.avg_pool2d(x, 2, divisor_override=3),
        ]
        adaptive = [
            F.adaptive_avg_pool2d(x, (2, 4)),
            F.adaptive_max_pool2d(x, (4, 3)),
            F.adaptive_max_pool2d(x, (3, 5)),
        ]
        flat = x.flatten(2)
        rows = [
            F.max_pool1d(flat, 3, 2, 1),
            F.avg_pool1d(flat, 4, 3, 1),
            F.adaptive_avg_pool1d(flat, 7),
            F.lp_pool1d(flat + 3, 2, 2),
        ]
        return torch.cat([each.flatten(1) for each in [bilinear, *pools, *ceiled, *adaptive, *rows]], 1)

    return Function(function), numbers(2, 2, 6, 5)


def convolutions():
    parts = {
        "a": nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2),
        "b": nn.ConvTranspose1d(6, 4, 4, stride=2, padding=1, groups=2),
        "c": nn.Conv1d(4, 4, 3, padding="same", dilation=2, padding_mode="circular"),
        "d": nn.Conv1d(4, 2, 4, padding="same", bias=False),
    }
    return Function(lambda m, x: m.d(m.c(m.b(m.a(x)))), **parts), numbers(2, 4, 8)


def volumes():
    """Three axes, and images without a batch."""
    parts = {"a": nn.Conv3d(1, 2, 3, padding=1), "b": nn.ConvTranspose3d(2, 1, 2, 2), "c": nn.Conv2d(3, 2, 2)}

    def function(m, x, image):
        y = m.b(F.max_pool3d(m.a(x), 2))
        return F.adaptive_avg_pool3d(y, 1).sum() * m.c(image) + F.avg_pool3d(y, (4, 2, 2)).norm()

    return Function(function, **parts), numbers(2, 1, 4, 4, 4), numbers(3, 4, 5)


def stopped():
    """`detach` and `no_grad` have no derivative."""

    def function(m, x):
        with torch.no_grad():
            scale = (m.w * x).norm()
        return (m.w * x).detach() * m.w + scale * x + m.embedding(torch.tensor([0, 2]))[:, :3].sum()

    return Function(function, w=numbers(3), embedding=nn.Embedding(4, 5, padding_idx=2)), numbers(3)


def nested():
    return (
        Function(lambda _, x, state: (state["h"][0] * x + state["c"], x)),
        numbers(3),
        {"h": [numbers(3)], "c": numbers()},
    )


def bilinear():
    return (
        Function(lambda m, x, y: torch.cross(m.b(x, y), y, dim=1), b=nn.Bilinear(4, 3, 3)),
        numbers(2, 4),
        numbers(2, 3),
    )


def losses():
    classes = torch.tensor([1, 0, 3])

    def function(m, x, y):
        terms = [F.mse_loss(x, y), F.l1_loss(x, y), F.smooth_l1_loss(x, y), F.huber_loss(x, y, delta=0.3)]
        terms += [F.cross_entropy(x, classes), F.binary_cross_entropy_with_logits(x, y.sigmoid())]
        terms += [
            F.kl_div(x.log_softmax(1), y.softmax(1), reduction="batchmean"),
            F.nll_loss(x.log_softmax(1), classes),
        ]
        return torch.stack(terms)

    return Function(function), numbers(3, 4), numbers(3, 4, seed=1)


MODELS = {
    make.__name__: make
    for make in (
        *(
            mlp,
            cnn,
            resnet,
            depthwise,
            autoencoder,
            unet,
            encoder_layer,
            masked_encoder,
            cross_attention,
            gpt,
            sdpa,
            lstm,
        ),
        *(gru, unrolled, parametrized, old_norms, used_twice, normalizations, activations, einsums, deeponet, indices),
        *(
            solver,
            scalars,
            in_place,
            masked_updates,
            piecewise,
            arithmetic,
            reductions,
            movements,
            resampling,
            convolutions,
            stopped,
            volumes,
        ),
        *(nested, bilinear, losses),
    )
}

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


@cache
def imported(name, dtype):
    torch.manual_seed(0)
    module, *inputs = MODELS[name]()
    return module, inputs, *from_torch(module, *inputs, wrt="all", dtype=dtype)


def points(leaves):
    """Return the example point and another one."""
    rng = np.random.default_rng(1)
    other = {name: np.asarray(x + 0.1 * rng.uniform(-1, 1, x.shape), x.dtype) for name, x in leaves.items()}
    return leaves, other


def reference(module, inputs, leaves, dtype):
    """Return torch's output of a copy of the module at a point, and its leaves as tensors."""
    own = copy_of(module).eval().to(getattr(torch, dtype))
    tensors = {name: torch.from_numpy(x).requires_grad_() for name, x in leaves.items()}
    names = iter(name for name in leaves if name not in dict(module.named_parameters()))
    args = torch.utils._pytree.tree_map(lambda x: tensors[next(names)] if x.is_floating_point() else x, tuple(inputs))
    parameters = {name: tensors[name] for name, _ in own.named_parameters()}
    output = torch.func.functional_call(own, parameters, args)
    return output[0] if isinstance(output, tuple) else output, tensors


def copy_of(module):
    """Copy a module; the old parametrizations hold computed tensors, which cannot be copied."""
    memo = {id(x): x.detach() for part in module.modules() for x in vars(part).values() if torch.is_tensor(x)}
    return copy.deepcopy(module, memo)


def seeds_of(graph):
    rng = np.random.default_rng(2)
    return rng.uniform(-1, 1, (3, *graph.output_shape)).astype(graph.dtype)


@each_dtype
@pytest.mark.parametrize("name", MODELS)
def test_values_are_torchs(name, dtype):
    module, inputs, graph, leaves = imported(name, dtype)
    for point in points(leaves):
        expected = reference(module, inputs, point, dtype)[0].detach().numpy()
        found = graph.evaluate(point)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=0, atol=VALUE[dtype] * np.abs(expected).max())


@pytest.mark.parametrize(
    ("strategy", "dtype"), [("vjp", "float32"), ("vjp", "float64"), ("dense", "float64"), ("sparse", "float64")]
)
@pytest.mark.parametrize("name", MODELS)
def test_pullbacks_are_torchs(name, dtype, strategy):
    module, inputs, graph, leaves = imported(name, dtype)
    prepared, seeds = load(strategy).prepare(graph), seeds_of(graph)
    for point in points(leaves):
        output, tensors = reference(module, inputs, point, dtype)
        bars = prepared.linearize(point).pullback(seeds)
        expected = [
            torch.autograd.grad(
                output, list(tensors.values()), torch.from_numpy(np.asarray(seed)), True, allow_unused=True
            )
            for seed in seeds
        ]
        check_pullbacks(bars, dict(zip(tensors, zip(*expected, strict=True), strict=True)), COTANGENT[dtype])


def check_pullbacks(bars, expected, tolerance):
    """Compare cotangents on the scale of the leaf, but at least a hundredth of the largest of all."""
    as_arrays = {
        name: np.stack([np.zeros(bars[name].shape[1:]) if bar is None else bar.numpy() for bar in of_leaf])
        for name, of_leaf in expected.items()
    }
    largest = max(np.abs(bar).max() for bar in as_arrays.values())
    for name, bar in as_arrays.items():
        scale = max(np.abs(bar).max(), 1e-2 * largest)
        np.testing.assert_allclose(bars[name], bar, rtol=0, atol=tolerance * scale, err_msg=name)
