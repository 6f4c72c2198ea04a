"""Mean and deviation of activations, told by batch norms without any data.

After M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721: what
leaves a batch norm has its shift as mean and its scale as deviation, and is taken to be normally distributed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stma.network.layers import ConvNorm

DEVIATIONS = 8.0  # from the mean to the peak: 6 cut edges off, 10 tell less of the rest apart


@dataclass(frozen=True)
class Moments:
    """Mean and deviation of each channel of a map, (C,) float32 each."""

    mean: Tensor
    deviation: Tensor

    @staticmethod
    def after(layer: ConvNorm) -> "Moments":
        """Of what a convolution gives whose batch norm is not folded yet."""
        assert isinstance(layer.norm, nn.BatchNorm2d)
        return Moments(layer.norm.bias.detach().float(), layer.norm.weight.detach().float().abs())

    @property
    def peak(self) -> float:
        """What hardly any activation exceeds, above 0."""
        return float((self.mean + DEVIATIONS * self.deviation).amax().clamp(min=1e-3))

    def rectified(self) -> "Moments":
        """Behind a ReLU: of a normal distribution whose negative part is moved to 0."""
        deviation = self.deviation.clamp(min=1e-6)
        normal = torch.distributions.Normal(0.0, 1.0)
        ratio = self.mean / deviation
        above, density = normal.cdf(ratio), normal.log_prob(ratio).exp()
        mean = self.mean * above + deviation * density
        square = (self.mean**2 + deviation**2) * above + self.mean * deviation * density
        return Moments(mean, (square - mean**2).clamp(min=0).sqrt())

    def plus(self, other: "Moments") -> "Moments":
        """Of the sum with a map that does not depend on this one."""
        return Moments(self.mean + other.mean, torch.hypot(self.deviation, other.deviation))

    def through(self, conv: nn.Conv2d) -> "Moments":
        """Behind a 1x1 convolution, of channels that do not depend on each other."""
        weight = conv.weight.detach().float()[:, :, 0, 0]  # (D, C)
        assert conv.bias is not None
        mean = weight @ self.mean + conv.bias.detach().float()
        return Moments(mean, (weight**2 @ self.deviation**2).sqrt())
