"""What a trained model gets wrong and why: errors, bias and variance, the report and its pictures."""
