"""The kinds of back ends, one module each; :mod:`aether_deploy.traffic.registry` finds them."""
