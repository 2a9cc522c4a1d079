"""A subset of MNIST; see README.md and LICENSE in this folder."""
