"""Convolution before there is any text: two dice, and a noisy picture smoothed by a mean.

    die, die reversed as a kernel -> textnn's convolution over places, padded -> chances of each sum
    rows of a picture as tokens, a band of 1/9 as kernels -> the same        -> a 3x3 mean

Both run on the layer that reads text: ``functional.text_conv_positions``, in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from textnn.functional import text_conv_positions
from textnn.lab.panels import Both, Panel, Word, axis, bars, heat
from textnn.lab.result import Result

Array = np.ndarray[Any, np.dtype[np.float64]]

_SIDES = 6


@dataclass(frozen=True, eq=False)
class Dice(Result):
    """Chances of two dice and of their sum.

    Attributes
    ----------
    first, second : ndarray float64 [6]
        The chance of each side, 1 to 6.
    total : ndarray float64 [11]
        The chance of each sum, 2 to 12.
    """

    first: Array
    second: Array
    total: Array

    @property
    def sums(self) -> list[int]:
        """The sums that there can be."""
        return list(range(2, 2 * _SIDES + 1))

    def work_out(self, total: int) -> str:
        """Return the chance of a sum in figures: the products of the ways that lead to it.

        Parameters
        ----------
        total : int
            From 2 to 12.

        Raises
        ------
        ValueError
            If no two sides have this sum.
        """
        if total not in self.sums:
            raise ValueError(f"total: expected a number from 2 to {2 * _SIDES}, got {total}")
        ways = [(a, total - a) for a in range(1, _SIDES + 1) if 1 <= total - a <= _SIDES]
        products = " + ".join(f"{self.first[a - 1]:.3f} · {self.second[b - 1]:.3f}" for a, b in ways)
        return f"P({total}) = {products} = {self.total[total - 2]:.3f}"

    def panels(self) -> list[Panel]:
        """Return the chance of each sum."""
        title = Both("Two dice: the chances of their sum", "两个骰子：点数之和的概率")
        note = Both(f"For instance {self.work_out(10)}.", f"例如 {self.work_out(10)}。")
        chances = [(Both("sum", "点数之和"), self.total)]
        return [bars(title, list(map(str, self.sums)), chances, axis(Both("chance", "概率"), low=0), note)]


def two_dice(first: Sequence[float] | None = None, second: Sequence[float] | None = None) -> Dice:
    """Convolve the chances of two dice: those of their sum.

    Parameters
    ----------
    first, second : sequence of 6 float, optional
        How often each side comes, in any unit; fair dice by default.

    Returns
    -------
    Dice
        The chances of both and of the sum.

    Raises
    ------
    ValueError
        If there are not six numbers from 0, at least one of them above it.

    Notes
    -----
    A convolution turns the kernel round, and the layers of neural networks do not: the second die is reversed here,
    before it becomes the kernel.

    Examples
    --------
    >>> (36 * textnn.lab.two_dice().total).round().tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    """
    dice = [_chances(name, given) for name, given in (("first", first), ("second", second))]
    kernel = dice[1].flip(0).view(1, 1, _SIDES)
    found, _ = text_conv_positions(dice[0].view(1, _SIDES, 1), [kernel], padding=_SIDES - 1, activation="identity")
    return Dice(dice[0].numpy(), dice[1].numpy(), found.flatten().numpy())


def _chances(name: str, given: Sequence[float] | None) -> torch.Tensor:
    values = torch.ones(_SIDES, dtype=torch.float64)
    if given is not None:
        values = torch.tensor([float(value) for value in given], dtype=torch.float64)
    if (
        values.shape != (_SIDES,)
        or not bool(torch.isfinite(values).all())
        or bool((values < 0).any())
        or not values.any()
    ):
        raise ValueError(f"{name}: expected {_SIDES} numbers from 0, not all 0, got {given!r}")
    return values / values.sum()


@dataclass(frozen=True, eq=False)
class Smoothing(Result):
    """A picture, the same with noise, and that smoothed.

    Attributes
    ----------
    picture, noisy : ndarray float64 [size, size]
        Brightness from 0 to 1, and with noise.
    smooth : ndarray float64 [size - 2, size - 2]
        The mean of each 3x3 square of the noisy picture.
    """

    picture: Array
    noisy: Array
    smooth: Array

    @property
    def errors(self) -> tuple[float, float]:
        """The mean squared differences of the noisy and of the smooth picture from the true one, without its rim."""
        inner = (slice(1, -1), slice(1, -1))
        found = [np.mean((shown - self.picture[inner]) ** 2) for shown in (self.noisy[inner], self.smooth)]
        return float(found[0]), float(found[1])

    def panels(self) -> list[Panel]:
        """Return the noisy picture and the smooth one."""
        before, after = self.errors
        note = Both(
            f"Mean squared error against the true picture: {before:.4f} before, {after:.4f} after.",
            f"与真实图像的均方误差：平滑前 {before:.4f}，平滑后 {after:.4f}。",
        )
        noisy, smooth = Both("A noisy picture", "带噪声的图像"), Both("Smoothed by a 3x3 mean", "3×3 均值平滑之后")
        return [_picture(noisy, self.noisy), _picture(smooth, self.smooth, note)]


def smooth(noise: float = 0.3, size: int = 24, seed: int = 0) -> Smoothing:
    """Add noise to a picture of a ring and smooth it by the mean of each 3x3 square.

    Parameters
    ----------
    noise : float, default=0.3
        Standard deviation of what is added to each point.
    size : int, default=24
        Rows, and columns.
    seed : int, default=0
        Of the noise.

    Returns
    -------
    Smoothing
        The picture before and after.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Notes
    -----
    The rows are the tokens of a sentence and their points the values of a token's vector; there is a channel for each
    column of the result, whose kernel of three rows is 1/9 at three neighbouring columns and 0 elsewhere.

    Examples
    --------
    >>> before, after = textnn.lab.smooth(noise=0.8).errors
    >>> after < before / 4
    True
    """
    if not 0 <= noise < float("inf"):
        raise ValueError(f"noise: expected a number from 0, got {noise}")
    if size < 3:
        raise ValueError(f"size: expected at least 3, got {size}")
    place = (np.arange(size) - (size - 1) / 2) / (size / 2)
    radius = np.hypot(place[:, None], place[None, :])
    picture = ((radius > 0.35) & (radius < 0.7)).astype(np.float64)
    noisy = picture + noise * np.random.default_rng(seed).standard_normal((size, size))
    kernel = torch.zeros(size - 2, size, 3, dtype=torch.float64)  # [C, D, K]
    for column in range(size - 2):
        kernel[column, column : column + 3] = 1 / 9
    found, _ = text_conv_positions(torch.from_numpy(noisy)[None], [kernel], activation="identity")
    return Smoothing(picture, noisy, found[0].numpy())


def _picture(title: Word, values: Array, note: Word = "") -> Panel:
    empty = [""] * len(values)
    return heat(title, empty, empty, np.clip(values, 0, 1), 0, 1, note)
