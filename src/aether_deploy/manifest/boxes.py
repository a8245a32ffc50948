"""Configuration objects that are documents of their own: YAML out, and back to an equal value."""

from typing import Any, Self

from msgspec import UNSET

from aether_deploy.config.base import Config, plain, spec_of
from aether_deploy.problems import ConfigError, Problem


class YamlConfig(Config):
    """A Config with a YAML form."""

    def render_yaml(self) -> str:
        """Return the object as one YAML document with every setting that has a value, defaults included;
        :meth:`parse_yaml` turns it into an equal object."""
        from aether_deploy.manifest.yaml_text import to_yaml

        return to_yaml(_settings(self))

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


def _settings(value: object) -> Any:
    """Return plain values with defaults, but without what is empty by default."""
    if isinstance(value, tuple):
        return [_settings(each) for each in value]
    if not isinstance(value, Config):
        return plain(value)
    held = ((field, getattr(value, field.name)) for field in spec_of(type(value)).fields)
    return {
        field.name: _settings(each)
        for field, each in held
        if each is not UNSET and (each != field.default or each not in (None, (), {}))
    }
