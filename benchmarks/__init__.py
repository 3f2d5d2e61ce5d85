"""What Postern costs, as ratios within one run: the machines are noisy, the ratios are not."""
