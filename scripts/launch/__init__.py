"""The launcher behind `./scripts/run`: servers first, then the Procfile's processes, the receiver's door last."""
