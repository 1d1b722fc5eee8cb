"""The specification by calling torch.nn and torch.optim."""
