"""Configuration types: checked reading, field types, layers, JSON Schema."""
