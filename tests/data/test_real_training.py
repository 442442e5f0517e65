"""From MNIST's files to a trained network: reader, split, loader, augmentation, checkpoint."""

from pathlib import Path

import numpy as np
import pytest

import rtfunc as rf
from rtfunc import data, io, nn, optim
from rtfunc.data import images

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"

model = nn.sequential(
    nn.conv(8, 3, stride=2, padding=1),
    nn.relu,
    nn.conv(16, 3, stride=2, padding=1),
    nn.relu,
    nn.flatten,
    nn.dense(10),
)
optimizer = optim.adam(3e-3)


@pytest.mark.skipif(not MNIST.exists(), reason="MNIST's files are not beside the repository")
def test_mnist_is_learned_across_an_interruption(tmp_path):
    train, test = data.random_split(data.mnist(MNIST, "test"), [8000, 2000], rf.random.key(0))
    params, state = model.init(rf.random.key(1), (1, 1, 28, 28))
    carry = params, optimizer.init(params), rf.random.key(2)

    def prepared(x):
        return images.normalize(images.to_float(x[:, None]), [0.13], [0.31])

    @rf.jit
    def step(carry, x, y):
        params, moments, key = carry
        key, crop_key = rf.random.split(key)
        x = images.random_crop(crop_key, prepared(x), 28, padding=1)

        def loss(params):
            return nn.cross_entropy(model.apply(params, state, x)[0], y)

        updates, moments = optimizer.update(rf.grad(loss)(params), moments, params)
        return optim.apply_updates(params, updates), moments, key

    def loader():
        return data.DataLoader(
            train, 64, shuffle=True, key=rf.random.key(3), drop_last=True, num_workers=2
        )

    first = loader()
    with io.Checkpointer(tmp_path) as checkpointer:
        for number, (x, y) in enumerate(first):
            carry = step(carry, x, y)
            if number == 60:
                checkpointer.save(number, carry, loader=first)
                break
        resumed = loader()
        carry = checkpointer.restore(like=carry, loader=resumed).tree
    for _ in range(2):  # the rest of the first epoch, and another
        for x, y in resumed:
            carry = step(carry, x, y)
    x, y = test.gather(range(len(test)))
    logits, _ = model.apply(carry[0], state, prepared(x))
    assert (np.asarray(logits).argmax(1) == y).mean() > 0.94
