"""The originals of `rtfunc.nn.models`, as PyTorch modules with their structure and names.

Of torchvision's `models`, nanoGPT, milesial's Pytorch-UNet, and PyTorch's tutorials and examples, of
which none is a package to install beside this PyTorch. torchvision's names and shapes are in
`test_models` as digests.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Container(nn.Module):
    """A module of the given parts, whose forward is `run(self, *inputs)`."""

    def __init__(self, run, **parts):
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        return self.run(self, *inputs)


def mlp(inputs, features, norm=None, dropout=0.0, bias=True):
    layers = []
    for size in features[:-1]:
        layers.append(nn.Linear(inputs, size, bias=bias))
        layers += [norm(size)] if norm else []
        layers += [nn.ReLU(), nn.Dropout(dropout)]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, features[-1], bias=bias), nn.Dropout(dropout))


def lenet(num_classes=10):
    def run(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))

    return Container(
        run,
        conv1=nn.Conv2d(1, 6, 5),
        conv2=nn.Conv2d(6, 16, 5),
        fc1=nn.Linear(16 * 5 * 5, 120),
        fc2=nn.Linear(120, 84),
        fc3=nn.Linear(84, num_classes),
    )


def resnet(layers, bottleneck=False, num_classes=1000, width=64):
    expansion = 4 if bottleneck else 1

    def conv(into, out, size, stride=1):
        return nn.Conv2d(into, out, size, stride, size // 2, bias=False)

    def block(into, size, stride):
        out = size * expansion
        if bottleneck:
            convolutions = [conv(into, size, 1), conv(size, size, 3, stride), conv(size, out, 1)]
        else:
            convolutions = [conv(into, size, 3, stride), conv(size, out, 3)]
        parts = {}
        for i, c in enumerate(convolutions, 1):
            parts |= {f"conv{i}": c, f"bn{i}": nn.BatchNorm2d(c.out_channels)}
        if stride != 1 or into != out:
            parts["downsample"] = nn.Sequential(conv(into, out, 1, stride), nn.BatchNorm2d(out))

        def run(self, x):
            y = F.relu(self.bn1(self.conv1(x)))
            y = self.bn2(self.conv2(y))
            if bottleneck:
                y = self.bn3(self.conv3(F.relu(y)))
            return F.relu(y + (self.downsample(x) if "downsample" in parts else x))

        return Container(run, **parts)

    stages, into = {}, width
    for i, count in enumerate(layers):
        blocks = []
        for j in range(count):
            blocks.append(block(into, width * 2**i, 2 if i and not j else 1))
            into = width * 2**i * expansion
        stages[f"layer{i + 1}"] = nn.Sequential(*blocks)

    def run(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for name in stages:
            x = getattr(self, name)(x)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))

    return Container(
        run,
        conv1=conv(3, width, 7, 2),
        bn1=nn.BatchNorm2d(width),
        **stages,
        fc=nn.Linear(into, num_classes),
    )


def vgg11(batch_norm=False, num_classes=1000, width=64, hidden=4096):
    layers, into = [], 3
    for v in [1, "M", 2, "M", 4, 4, "M", 8, 8, "M", 8, 8, "M"]:
        if v == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(into, v * width, 3, padding=1))
        layers += [nn.BatchNorm2d(v * width), nn.ReLU()] if batch_norm else [nn.ReLU()]
        into = v * width
    classifier = nn.Sequential(
        nn.Linear(into * 49, hidden),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(hidden, num_classes),
    )
    return Container(
        lambda self, x: self.classifier(F.adaptive_avg_pool2d(self.features(x), 7).flatten(1)),
        features=nn.Sequential(*layers),
        classifier=classifier,
    )


def vision_transformer(image, patch, layers, heads, features, hidden, num_classes=1000, pre=None):
    def norm():
        return nn.LayerNorm(features, eps=1e-6)

    def run_block(self, x):
        y = self.ln_1(x)
        x = x + self.self_attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))

    def block():
        return Container(
            run_block,
            ln_1=norm(),
            self_attention=nn.MultiheadAttention(features, heads, batch_first=True),
            ln_2=norm(),
            mlp=nn.Sequential(
                nn.Linear(features, hidden),
                nn.GELU(),
                nn.Dropout(0.0),
                nn.Linear(hidden, features),
                nn.Dropout(0.0),
            ),
        )

    positions = nn.Parameter(torch.randn(1, (image // patch) ** 2 + 1, features) * 0.02)
    blocks = nn.Sequential()
    for i in range(layers):
        blocks.add_module(f"encoder_layer_{i}", block())
    encoder = Container(
        lambda self, x: self.ln(self.layers(x + self.pos_embedding)),
        pos_embedding=positions,
        layers=blocks,
        ln=norm(),
    )
    heads_ = nn.Sequential()
    if pre is not None:
        heads_.add_module("pre_logits", nn.Linear(features, pre))
        heads_.add_module("act", nn.Tanh())
    heads_.add_module("head", nn.Linear(pre or features, num_classes))

    def run(self, x):
        x = self.conv_proj(x).flatten(2).permute(0, 2, 1)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)
        return self.heads(self.encoder(x)[:, 0])

    return Container(
        run,
        class_token=nn.Parameter(torch.randn(1, 1, features)),
        conv_proj=nn.Conv2d(3, features, patch, patch),
        encoder=encoder,
        heads=heads_,
    )


def gpt(vocabulary, length, layers, heads, features, bias=True):
    def attend(self, x):
        n, t, c = x.shape
        q, k, v = (
            y.view(n, t, heads, c // heads).transpose(1, 2)
            for y in self.c_attn(x).split(features, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(n, t, c))

    def run_block(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))

    def block():
        return Container(
            run_block,
            ln_1=nn.LayerNorm(features, bias=bias),
            attn=Container(
                attend,
                c_attn=nn.Linear(features, 3 * features, bias=bias),
                c_proj=nn.Linear(features, features, bias=bias),
            ),
            ln_2=nn.LayerNorm(features, bias=bias),
            mlp=Container(
                lambda self, x: self.c_proj(F.gelu(self.c_fc(x))),
                c_fc=nn.Linear(features, 4 * features, bias=bias),
                c_proj=nn.Linear(4 * features, features, bias=bias),
            ),
        )

    def run(self, tokens):
        t = self.transformer
        x = t.wte(tokens) + t.wpe(torch.arange(tokens.shape[1]))
        for one in t.h:
            x = one(x)
        return self.lm_head(t.ln_f(x))

    model = Container(
        run,
        transformer=nn.ModuleDict(
            {
                "wte": nn.Embedding(vocabulary, features),
                "wpe": nn.Embedding(length, features),
                "h": nn.ModuleList([block() for _ in range(layers)]),
                "ln_f": nn.LayerNorm(features, bias=bias),
            }
        ),
        lm_head=nn.Linear(features, vocabulary, bias=False),
    )
    model.transformer.wte.weight = model.lm_head.weight
    return model


def word_language_model(vocabulary, features, hidden, layers, kind="LSTM", tie=False):
    if kind in ("LSTM", "GRU"):
        rnn = getattr(nn, kind)(features, hidden, layers)
    else:
        rnn = nn.RNN(features, hidden, layers, nonlinearity=kind.split("_")[1].lower())

    def run(self, words, *state):
        out, final = self.rnn(self.encoder(words), state or None)
        return F.log_softmax(self.decoder(out).view(-1, vocabulary), dim=1), final

    model = Container(
        run,
        encoder=nn.Embedding(vocabulary, features),
        rnn=rnn,
        decoder=nn.Linear(hidden, vocabulary),
    )
    if tie:
        model.decoder.weight = model.encoder.weight
    return model


def unet(num_classes, bilinear=False, width=64, bias=False):
    factor = 2 if bilinear else 1

    def double(into, out, middle=None):
        middle = middle or out
        body = nn.Sequential(
            nn.Conv2d(into, middle, 3, padding=1, bias=bias),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, out, 3, padding=1, bias=bias),
            nn.BatchNorm2d(out),
            nn.ReLU(),
        )
        return Container(lambda self, x: self.double_conv(x), double_conv=body)

    def down(into, out):
        body = nn.Sequential(nn.MaxPool2d(2), double(into, out))
        return Container(lambda self, x: self.maxpool_conv(x), maxpool_conv=body)

    def join(self, x, seen):
        x = self.up(x)
        dy, dx = (seen.shape[i] - x.shape[i] for i in (2, 3))
        x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([seen, x], dim=1))

    def up(into, out):
        if bilinear:
            enlarge = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            return Container(join, up=enlarge, conv=double(into, out, into // 2))
        return Container(
            join, up=nn.ConvTranspose2d(into, into // 2, 2, stride=2), conv=double(into, out)
        )

    w = width

    def run(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x = self.up1(self.down4(x4), x4)
        return self.outc(self.up4(self.up3(self.up2(x, x3), x2), x1))

    return Container(
        run,
        inc=double(3, w),
        down1=down(w, 2 * w),
        down2=down(2 * w, 4 * w),
        down3=down(4 * w, 8 * w),
        down4=down(8 * w, 16 * w // factor),
        up1=up(16 * w, 8 * w // factor),
        up2=up(8 * w, 4 * w // factor),
        up3=up(4 * w, 2 * w // factor),
        up4=up(2 * w, w),
        outc=Container(lambda self, x: self.conv(x), conv=nn.Conv2d(w, num_classes, 1)),
    )


def vae(features=784, hidden=400, latent=20):
    """The code is the mean, as when `rtfunc`'s gets no key."""

    def run(self, x):
        seen = F.relu(self.fc1(x.view(-1, features)))
        mean, log_variance = self.fc21(seen), self.fc22(seen)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(mean)))), mean, log_variance

    return Container(
        run,
        fc1=nn.Linear(features, hidden),
        fc21=nn.Linear(hidden, latent),
        fc22=nn.Linear(hidden, latent),
        fc3=nn.Linear(latent, hidden),
        fc4=nn.Linear(hidden, features),
    )
