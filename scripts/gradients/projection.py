"""A Rademacher projection of a gradient that comes in parts, of which only one has to be in memory at a time.

A projection of D numbers by a matrix of random signs would need DIMENSIONS x D signs for every row, hundreds of times
the work of the gradient itself. Here D numbers get random signs and are added up in BUCKETS sums, which then go through
a matrix of random signs (a count sketch before the projection: Clarkson and Woodruff, 1207.6365). The product of the
two is a matrix of signs, too, in which columns of one bucket are equal except for their sign: the squared length is
preserved with a relative error of sqrt(2 / DIMENSIONS + 2 / BUCKETS), .0635 in place of .0625. Number i goes to bucket
i modulo BUCKETS, which is a prime: the numbers of a column of a weight matrix then go to different buckets.

The signs are a fixed stream of bits, the same on every machine and for every teacher.
"""

import math

import numpy as np
import torch

DIMENSIONS = 512  # as in GRACE (2511.02833)
BUCKETS = 16381
SLICE = 256 * BUCKETS  # numbers in float32 at a time
SEED = 0


class Projection:
    """R g / sqrt(D) of a gradient g with D numbers, for R of (DIMENSIONS, D) signs."""

    def __init__(self, size: int, device: torch.device | str):
        self.size = size
        matrix, signs = streams(DIMENSIONS * BUCKETS, size)
        matrix = plus_minus(torch.from_numpy(matrix))[: DIMENSIONS * BUCKETS]
        self.matrix = matrix.view(DIMENSIONS, BUCKETS).float().to(device)
        self.signs = torch.from_numpy(signs).to(device)
        self.clear()

    def clear(self) -> None:
        """Begin another gradient."""
        self.sums = torch.zeros(BUCKETS, device=self.matrix.device)
        self.squares = torch.zeros((), dtype=torch.float64, device=self.matrix.device)

    def add(self, part: torch.Tensor, start: int) -> None:
        """Add numbers start, start + 1, ... of the gradient, in any shape and precision."""
        flat = part.detach().reshape(-1)
        for begin in range(0, len(flat), SLICE):
            numbers = flat[begin : begin + SLICE].float()
            self.squares += torch.linalg.vector_norm(numbers).double().square()
            self.fold(numbers, start + begin)

    def fold(self, numbers: torch.Tensor, start: int) -> None:
        """Add float32 numbers with their signs to their buckets."""
        first, end = start // 8, -(-(start + len(numbers)) // 8)
        signs = plus_minus(self.signs[first:end])[start % 8 :][: len(numbers)]
        before = start % BUCKETS
        after = -(before + len(numbers)) % BUCKETS
        self.sums += torch.nn.functional.pad(numbers * signs, (before, after)).view(-1, BUCKETS).sum(0)

    def norm(self) -> float:
        """The length of the gradient."""
        return self.squares.sqrt().item()

    def projected(self) -> torch.Tensor:
        """R g / sqrt(D): (DIMENSIONS), float32, on the CPU."""
        return (self.matrix @ self.sums / math.sqrt(self.size)).cpu()


def streams(*sizes: int) -> list[np.ndarray]:
    """Random bits, eight in a byte, at least so many for each size: independent streams of one seed."""
    children = np.random.SeedSequence(SEED).spawn(len(sizes))
    words = (np.random.PCG64(child).random_raw(-(-size // 64)) for child, size in zip(children, sizes, strict=True))
    return [word.astype("<u8", copy=False).view(np.uint8) for word in words]


def plus_minus(packed: torch.Tensor) -> torch.Tensor:
    """The signs of bytes (n): 1 or -1 in int8, (8 n)."""
    bits = packed[:, None] >> torch.arange(8, dtype=torch.uint8, device=packed.device) & 1
    return (1 - 2 * bits.to(torch.int8)).flatten()
