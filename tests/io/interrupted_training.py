"""A training with everything that has state, which is killed and goes on from its checkpoints.

`python interrupted_training.py FOLDER STEPS` goes on from what is in the folder, saves after every
step and prints it when it is on the disk.
"""

import hashlib
import sys

import numpy as np

import rtfunc as rf
from rtfunc import nn, optim
from rtfunc.data import ArrayDataset, DataLoader
from rtfunc.io import Checkpointer


class Training:
    """Three steps an epoch: batch norm, dropout, a shuffled order, a schedule, clipping, scaling.

    The scale of the loss doubles every four steps, so that float16 overflows now and then. The
    average of the parameters is part of the state.
    """

    model = nn.sequential(nn.dense(8), nn.batch_norm(), nn.relu, nn.dropout(0.3), nn.dense(2))

    def __init__(self, seed=0, **loader_options):
        generator = np.random.default_rng(0)
        data = ArrayDataset(
            generator.normal(size=(40, 4)).astype("f4"), generator.integers(0, 2, 40)
        )
        init_key, data_key, key = rf.random.split(rf.random.key(seed), 3)
        self.loader = DataLoader(
            data, 16, shuffle=True, key=data_key, num_workers=2, prefetch=2, **loader_options
        )
        adam = optim.adamw(optim.cosine_schedule(1e-2, 60), weight_decay=0.1)
        optimizer = optim.dynamic_loss_scale(
            optim.chain(optim.clip_by_global_norm(0.5), adam), 2.0**14, growth_interval=4
        )
        average = optim.ema(0.9)
        params, state = self.model.init(init_key, (1, 4))
        self.carry = {
            "params": params,
            "state": state,
            "moments": optimizer.init(params),
            "average": average.init(params),
            "key": key,
        }
        self.done = 0

        def loss_of(params, state, moments, key, x, y):
            logits, state = self.model.apply(params, state, x, key=key, train=True)
            loss = nn.cross_entropy(logits, y)
            return optim.scale_loss(moments, loss.astype("float16")), (state, loss)

        @rf.jit
        def step(carry, x, y):
            params, moments = carry["params"], carry["moments"]
            key, used = rf.random.split(carry["key"])
            (_, (state, loss)), gradient = rf.value_and_grad(loss_of, has_aux=True)(
                params, carry["state"], moments, used, x, y
            )
            updates, moments = optimizer.update(gradient, moments, params)
            params = optim.apply_updates(params, updates)
            _, average_state = average.update(params, carry["average"])
            return {
                "params": params,
                "state": state,
                "moments": moments,
                "average": average_state,
                "key": key,
            }, loss

        self.step = step

    def go_on(self, checkpointer):
        """Take what the latest checkpoint has, if there is one."""
        checkpoint = checkpointer.restore(like=self.carry)
        if checkpoint is not None:
            self.carry, self.done = checkpoint.tree, checkpoint.step
            self.loader.restore(checkpoint.loader)

    def run(self, until, checkpointer=None, saved=lambda step: None):
        """Train up to a number of steps, with a checkpoint after each; the losses."""
        losses = []
        while self.done < until:
            for x, y in self.loader:
                self.carry, loss = self.step(self.carry, x, y)
                self.done += 1
                losses.append(float(loss))
                if checkpointer is not None:
                    checkpointer.save(self.done, self.carry, loader=self.loader, metric=loss)
                    saved(self.done)
                if self.done == until:
                    break
        return losses

    def digest(self):
        """Of all bits of the state."""
        leaves = [np.asarray(leaf) for leaf in rf.tree.leaves(self.carry)]
        return hashlib.sha256(b"".join(leaf.tobytes() for leaf in leaves)).hexdigest()


if __name__ == "__main__":
    training = Training(seed=9, worker_mode="process")
    with Checkpointer(sys.argv[1], keep=2) as checkpointer:
        training.go_on(checkpointer)
        training.run(int(sys.argv[2]), checkpointer, lambda step: print(step, flush=True))
    print(training.digest(), flush=True)
