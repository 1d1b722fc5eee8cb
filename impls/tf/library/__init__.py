"""The specification by calling Keras, on TensorFlow."""
