"""The engines that apply a tree from a repository, for real, beside a control plane: one module for each."""
