"""Figures of the report and of `asrkd quantizer plot`, as SVG."""
