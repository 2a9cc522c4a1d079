"""Analysis of a trained model: error analysis, bias and variance, the report, and pictures of examples."""
