"""Commands: one module per verb, which plans the work, checks its inputs and writes its outputs."""
