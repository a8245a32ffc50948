"""Patroni as it is installed, which reads its tables of parameters by the C library: it does so at each start.

Those tables are a hundred kilobytes of YAML, read by each Patroni and again by each process that it starts a PostgreSQL
with: a quarter of a second of the processor each time, where a lab starts a dozen of them at once.
"""

import contextlib

if __name__ == "__main__":  # whoever imports this keeps the YAML that it has
    import yaml
    from patroni.__main__ import main  # type: ignore[import-untyped]

    with contextlib.suppress(AttributeError):  # a PyYAML without the C library
        yaml.SafeLoader = yaml.CSafeLoader  # type: ignore[assignment, misc]
    main()
