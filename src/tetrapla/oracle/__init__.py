"""The oracle: what every quantity is, and how far a correct computation may be off."""
