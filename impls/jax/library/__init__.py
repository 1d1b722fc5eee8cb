"""The specification by calling Flax NNX and Optax."""
