"""The platform: everything that one aether.yaml describes, its layers, placements and references."""
