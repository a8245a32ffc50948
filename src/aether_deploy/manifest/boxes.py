"""Configuration objects that are documents of their own: YAML out, and back to an equal value."""

from typing import Self

from aether_deploy.config.base import Config
from aether_deploy.problems import ConfigError, Problem


class YamlConfig(Config):
    """A Config with a YAML form."""

    def render_yaml(self) -> str:
        """Return the object as one YAML document with every setting that has a value, defaults included;
        :meth:`parse_yaml` turns it into an equal object."""
        from aether_deploy.manifest.yaml_text import to_yaml

        return to_yaml(self.to_settings())

    @classmethod
    def parse_yaml(cls, text: str) -> Self:
        """Return the object that ``text`` describes.

        Raises:
            ConfigError: With every fault of the text.
        """
        from aether_deploy.manifest.yaml_source import read_document

        values = read_document(text, cls.__name__)
        if not isinstance(values, dict):
            raise ConfigError([Problem(path="$", reason="expected a mapping", fix="write a mapping")])
        return cls.from_values(values)
