"""Adapters of event sources, one module each, named after AWS's sources. They fill the ports of ``polling``."""
