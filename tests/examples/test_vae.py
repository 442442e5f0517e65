"""The autoencoder: its loss bounds the likelihood, it learns, and draws."""

import numpy as np
import pytest

from rtfunc import random
from rtfunc.data.sources import digits
from rtfunc.examples import vae as example


def test_the_divergence_is_that_of_two_normal_distributions(monkeypatch):
    """Against an average of log q - log p over draws, with pixels that cost nothing."""
    means, logs = np.float32([[0.5, -1.0]]), np.float32([[0.4, -0.6]])
    monkeypatch.setattr(example, "encode", lambda params, images: (means, logs))
    monkeypatch.setattr(
        example, "decode", lambda params, codes: np.full((1, 8, 8), -200.0, np.float32)
    )
    loss = float(example.loss_of(None, random.key(0), np.zeros((1, 8, 8), np.float32)))
    deviation = np.exp(0.5 * logs[0].astype(float))
    noise = np.random.default_rng(0).normal(size=(200_000, 2))
    z = means[0] + deviation * noise
    difference = (-np.log(deviation) - noise**2 / 2 + z**2 / 2).sum(axis=1)
    # Five standard errors of the average.
    assert abs(loss - difference.mean()) < 5 * difference.std() / np.sqrt(len(z))


def test_it_learns_and_draws(tmp_path, capsys):
    assert example.main(["--output", str(tmp_path), "--steps", "200"]) == 0
    loss = float(capsys.readouterr().out.split("Loss per image: ")[1].split()[0])
    assert loss < 28  # 44 with all pixels even, 24 after a full training
    pytest.importorskip("matplotlib")
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_losses():
    data = digits("train")
    one, same, other = (example.train(data, 3, seed)[1] for seed in (1, 1, 2))
    assert one == same
    assert one != other
