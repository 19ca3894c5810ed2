"""The cells of the recurrent layers in numpy: one step forward and backward, the equations of torch.nn."""

from __future__ import annotations

import numpy as np
from harness import Array


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


class Lstm:
    """torch.nn.LSTM: i, f, g, o. Both products add to the same sums."""

    blocks, values_kept, has_c = 4, 4, True

    @staticmethod
    def forward(of_x: Array, of_h: Array, h: Array, c: Array) -> tuple[Array, Array, Array]:
        """The two products with their biases and the state before the step -> what is kept, the state after it."""
        i, f, g, o = (of_x + of_h).reshape(4, -1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        c = f * c + i * g
        return np.concatenate([i, f, g, o]), o * np.tanh(c), c

    @staticmethod
    def backward(
        kept: Array, h_prev: Array, c_prev: Array, c: Array, dh: Array, dc: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Gradients of x's product and of h's, that of h_prev beside the product, that of c_prev."""
        i, f, g, o = kept.reshape(4, -1)
        tanh_c = np.tanh(c)
        dc = dc + dh * o * (1 - tanh_c**2)
        parts = [dc * g * i * (1 - i), dc * c_prev * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)]
        d = np.concatenate(parts)
        return d, d, np.zeros_like(h_prev), dc * f


class Gru:
    """torch.nn.GRU: r, z, n, with the reset gate behind h's product. Kept are n, r, z and n's part of that product."""

    blocks, values_kept, has_c = 3, 4, False

    @staticmethod
    def forward(of_x: Array, of_h: Array, h: Array, c: Array) -> tuple[Array, Array, Array]:
        (r_x, z_x, n_x), (r_h, z_h, n_h) = of_x.reshape(3, -1), of_h.reshape(3, -1)
        r, z = _sigmoid(r_x + r_h), _sigmoid(z_x + z_h)
        n = np.tanh(n_x + r * n_h)
        return np.concatenate([n, r, z, n_h]), (1 - z) * n + z * h, c

    @staticmethod
    def backward(
        kept: Array, h_prev: Array, c_prev: Array, c: Array, dh: Array, dc: Array
    ) -> tuple[Array, Array, Array, Array]:
        n, r, z, n_h = kept.reshape(4, -1)
        dn = dh * (1 - z) * (1 - n**2)
        dr, dz = dn * n_h * r * (1 - r), dh * (h_prev - n) * z * (1 - z)
        return np.concatenate([dr, dz, dn]), np.concatenate([dr, dz, dn * r]), dh * z, dc


class RnnTanh:
    """torch.nn.RNN. What is kept is h itself."""

    blocks, values_kept, has_c = 1, 1, False

    @classmethod
    def forward(cls, of_x: Array, of_h: Array, h: Array, c: Array) -> tuple[Array, Array, Array]:
        h = cls.activation(of_x + of_h)
        return h, h, c

    @classmethod
    def backward(
        cls, kept: Array, h_prev: Array, c_prev: Array, c: Array, dh: Array, dc: Array
    ) -> tuple[Array, Array, Array, Array]:
        d = dh * cls.slope(kept)
        return d, d, np.zeros_like(h_prev), dc

    @staticmethod
    def activation(x: Array) -> Array:
        return np.tanh(x)

    @staticmethod
    def slope(h: Array) -> Array:
        return 1 - h**2


class RnnRelu(RnnTanh):
    """torch.nn.RNN with nonlinearity="relu"."""

    @staticmethod
    def activation(x: Array) -> Array:
        return np.maximum(x, 0)

    @staticmethod
    def slope(h: Array) -> Array:
        return (h > 0).astype(float)


CELLS: dict[str, type[Lstm | Gru | RnnTanh]] = {"lstm": Lstm, "gru": Gru, "rnn_tanh": RnnTanh, "rnn_relu": RnnRelu}
