"""The DPO step: log-probabilities, losses, gradients, the optimizer."""
